package layout

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// runnableFence opens a block that is run; the language is one that renderers highlight.
const runnableFence = "```sh runnable"

// command is one command of a document.
type command struct {
	// at is the document and line where it begins.
	at   string
	text string
	// serves commands go on until they are interrupted.
	serves bool
}

// serving matches the commands that go on until they are interrupted.
func serving(text string) bool {
	if strings.HasSuffix(text, " &") {
		return true
	}
	first, _, _ := strings.Cut(text, "\n")
	return regexp.MustCompile(`^lictor (agent|demo|connect proxy|monitor)( |$)`).MatchString(first) &&
		!regexp.MustCompile(` (-{1,2}(check|h|help)( |$)|-- )`).MatchString(first)
}

// runnables returns the commands of a document's runnable blocks, from top to bottom.
func runnables(name, text string) (commands []command, err error) {
	inside, other := false, ""
	var open *command
	delimiter := ""
	for n, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", name, n+1)
		trimmed := strings.TrimSpace(line)
		switch {
		case !inside && other != "":
			if strings.HasPrefix(trimmed, other) && strings.Trim(trimmed, "`") == "" {
				other = ""
			}
		case !inside && trimmed == runnableFence:
			inside = true
		case !inside:
			if ticks := len(trimmed) - len(strings.TrimLeft(trimmed, "`")); ticks >= 3 {
				other = trimmed[:ticks]
			}
		case trimmed == "```" && delimiter == "":
			if open != nil {
				return nil, fmt.Errorf("%s: the command goes on beyond its block", open.at)
			}
			inside = false
		case open == nil && (trimmed == "" || strings.HasPrefix(trimmed, "#")):
		case open == nil && strings.HasPrefix(trimmed, "$ "):
			return nil, fmt.Errorf("%s: write the command without a prompt, so that it can be copied and run", at)
		default:
			if open == nil {
				open = &command{at: at, text: line}
			} else {
				open.text += "\n" + line
			}
			if delimiter, err = heredoc(at, line, delimiter); err != nil {
				return nil, err
			}
			if delimiter == "" && !continued(trimmed) {
				open.serves = serving(strings.TrimSpace(open.text))
				commands, open = append(commands, *open), nil
			}
		}
	}
	if inside {
		return nil, fmt.Errorf("%s: a runnable block is not closed", name)
	}
	return commands, nil
}

// heredoc returns the delimiter that is waited for after a line, "" for none.
func heredoc(at, line, delimiter string) (string, error) {
	if delimiter != "" {
		if line == delimiter {
			return "", nil
		}
		return delimiter, nil
	}
	m := regexp.MustCompile(`<<(-?)\s*['"]?(\w+)['"]?`).FindStringSubmatch(line)
	if m == nil {
		return "", nil
	}
	if m[1] != "" {
		return "", fmt.Errorf("%s: use << and not <<- in runnable blocks", at)
	}
	return m[2], nil
}

// continued tells whether a command goes on in the next line.
func continued(line string) bool {
	for _, end := range []string{`\`, "|", "&&", "||"} {
		if strings.HasSuffix(line, end) {
			return true
		}
	}
	return false
}

// attempts and pause are how often, and how many seconds apart, the command after one that serves is tried.
const (
	attempts = 150
	pause    = "0.2"
)

// script is a session as a program for the shell. It ends with 0 when every command succeeded and all that serve were
// still there at the end. The first failure is its last line of output.
func script(commands []command) string {
	var b strings.Builder
	// The shell outlives the signal that ends its children: a trapped signal, unlike an ignored one, is not inherited.
	b.WriteString("trap : TERM\ntry=$HOME/.try\nserving=''\nlast=''\n" +
		"say() { printf '+ %s\\n' \"$*\"; }\n" +
		"finish() { kill -TERM 0; wait; exit \"$1\"; }\n" +
		"lost() { [ -n \"$last\" ] && ! kill -0 \"$last\" 2>/dev/null; }\n" +
		"alive() { for p in $serving; do kill -0 \"$p\" 2>/dev/null || { say 'a command that should serve has ended'; finish 1; }; done; }\n")
	retry := false
	for _, c := range commands {
		fmt.Fprintf(&b, "say %s\n", quote(c.at+": "+strings.TrimSpace(c.text)))
		failed := "{ say " + quote(c.at+" failed") + "; finish 1; }"
		switch {
		case c.serves:
			fmt.Fprintf(&b, "%s &\nlast=$!\nserving=\"$serving $last\"\n", strings.TrimSuffix(strings.TrimSpace(c.text), " &"))
		case retry:
			fmt.Fprintf(&b, "n=0\nuntil {\n%s\n} >\"$try\" 2>&1; do\n n=$((n+1))\n if [ $n -ge %d ] || lost; then cat \"$try\"; %s; fi\n sleep %s\ndone\ncat \"$try\"\n",
				c.text, attempts, failed, pause)
		default:
			fmt.Fprintf(&b, "{\n%s\n} || %s\n", c.text, failed)
		}
		retry = c.serves
	}
	b.WriteString("alive\nfinish 0\n")
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// documents are the texts for users.
func documents(t *testing.T) (list []string) {
	for _, name := range tracked(t) {
		if strings.HasSuffix(name, ".md") && !strings.Contains(name, "testdata/") {
			list = append(list, name)
		}
	}
	return list
}

func TestRunnableBlocksOfDocumentsRun(t *testing.T) {
	sessions := map[string][]command{}
	for _, name := range documents(t) {
		text, err := os.ReadFile(filepath.Join(top, name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		commands, err := runnables(name, string(text))
		if err != nil {
			t.Error(err)
		}
		if len(commands) > 0 {
			sessions[name] = commands
		}
	}
	if len(sessions) == 0 {
		t.Skip("no document has a block marked " + runnableFence)
	}
	bin := buildProgram(t)
	for name, commands := range sessions {
		t.Run(name, func(t *testing.T) {
			if out, err := runSession(t, bin, commands); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestRunnableBlocksAreRead(t *testing.T) {
	text := "# T\n```sh\nlictor no\n```\n````md\n```sh runnable\nlictor quoted\n```\n````\n" +
		"```sh runnable\n# a comment\nlictor agent -dev\nlictor members |\n  wc -l\n\ncat > a.hcl <<'EOF'\n# not a comment\n```\nEOF\n```\n" +
		"```sh runnable\nlictor connect proxy -sidecar-for=web -- sh -c 'exit 0'\nlictor demo -check\nlictor demo\nserver --port 1 &\nlictor agent -help\n```\n"
	got, err := runnables("a.md", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []command{
		{"a.md:12", "lictor agent -dev", true}, {"a.md:13", "lictor members |\n  wc -l", false},
		{"a.md:16", "cat > a.hcl <<'EOF'\n# not a comment\n```\nEOF", false},
		{"a.md:22", "lictor connect proxy -sidecar-for=web -- sh -c 'exit 0'", false}, {"a.md:23", "lictor demo -check", false},
		{"a.md:24", "lictor demo", true}, {"a.md:25", "server --port 1 &", true}, {"a.md:26", "lictor agent -help", false},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for text, fault := range map[string]string{
		runnableFence + "\n$ lictor members\n```\n": "a.md:2: write the command without a prompt",
		runnableFence + "\nlictor members\n":        "not closed",
		runnableFence + "\nlictor a \\\n```\n":      "a.md:2: the command goes on",
	} {
		if _, err := runnables("a.md", text); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v, want %s", text, err, fault)
		}
	}
}
