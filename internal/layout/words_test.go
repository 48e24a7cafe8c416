package layout

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// forbidden are what no text of the repository mentions, with the reason. The expressions are spelled so that they
// do not match themselves.
func forbidden() map[string]string {
	elsewhere := "it is a place on one machine: the project stands by itself"
	return map[string]string{
		`(^|[^\w.-])[/]work/`:        elsewhere,
		`(^|[^\w./-])[/]root/`:       elsewhere,
		`\.\./share[d]\b`:            elsewhere,
		`(^|[^\w/-])share[d]/[a-z]`:  elsewhere,
		`(?i)\bgo[p]roxy\s*=\s*http`: "where modules come from is the builder's choice",
	}
}

// allowedWords are the files that may match an expression of forbidden, with the reason.
func allowedWords() map[string]string { return map[string]string{} }

// mentions returns where a text mentions what is forbidden.
func mentions(words map[*regexp.Regexp]string, name string, text []byte) (violations []string) {
	for re, reason := range words {
		for _, at := range re.FindAllIndex(text, -1) {
			line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
			if text[at[0]] == '\n' {
				line++
			}
			violations = append(violations, fmt.Sprintf("%s:%d: %q: %s", name, line, bytes.TrimSpace(text[at[0]:at[1]]), reason))
		}
	}
	return violations
}

func compile(words map[string]string) map[*regexp.Regexp]string {
	m := map[*regexp.Regexp]string{}
	for expr, reason := range words {
		m[regexp.MustCompile(`(?m)`+expr)] = reason
	}
	return m
}

// tracked lists the files under version control, or all where there is none.
func tracked(t *testing.T) []string {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = top
	out, err := cmd.Output()
	if err != nil {
		t.Logf("without version control all files count: %v", err)
		list, err := files(top)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
}

func TestTextsStandByThemselves(t *testing.T) {
	words := forbidden()
	for _, host := range builderHosts(t) {
		words[regexp.QuoteMeta(host)] = "it is a host of the builder's: the project stands by itself"
	}
	compiled := compile(words)
	var violations []string
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(name)))
		if err != nil || !utf8.Valid(text) || allowedWords()[name] != "" {
			continue // a file that is being moved, or no text
		}
		violations = append(violations, mentions(compiled, name, text)...)
	}
	report(t, violations)
}

// builderHosts are the hosts that modules come from here, unless everybody knows them.
func builderHosts(t *testing.T) (hosts []string) {
	out, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range strings.FieldsFunc(strings.TrimSpace(string(out)), func(r rune) bool { return r == ',' || r == '|' }) {
		u, err := url.Parse(entry)
		if err == nil && len(u.Hostname()) > 3 && u.Hostname() != "proxy.golang.org" && u.Hostname() != "localhost" {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

func TestWordsRuleSeesViolations(t *testing.T) {
	text := "fine: the work/ of a framework/ in /usr/work/; a shared/ folder; /v1/agent\n" +
		"see " + "/wo" + "rk/main\n/wo" + "rk/x\n`.." + "/shared/x`, sha" + "red/design.md\n/ro" + "ot/go\nGOPRO" + "XY=https://x\n"
	expect(t, mentions(compile(forbidden()), "a.md", []byte(text)), "a.md:2:", "a.md:3:", "a.md:4:", "a.md:4:", "a.md:5:", "a.md:6:")
}
