package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recorded is one command run of a real Consul 1.21.4.
type recorded struct {
	Argv        []string
	Exit        any
	Usage       []string
	Flags       []string
	Subcommands []string
	Stdout      string
	Stderr      string
	Files       map[string]string
	Env         map[string]*string
}

func readVectors(t *testing.T, name string) []recorded {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []recorded
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, r)
	}
	return all
}

// outcome is what one command line came to, in this process.
type outcome struct {
	code           int
	stdout, stderr string
}

func runLine(argv []string, env map[string]string) outcome {
	var out, errs bytes.Buffer
	sh := &shell{program: programName(argv), stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		getenv: func(name string) string { return env[name] }}
	code := sh.run(argv[1:])
	return outcome{code, out.String(), errs.String()}
}

// ownFlags are flags that Consul does not have.
var ownFlags = map[string][]string{
	"connect proxy": {"-admin-addr", "-drain-timeout", "-grpc-addr", "-grpc-ca-file"},
}

func TestHelpHasTheRecordedUsageFlagsAndSubcommands(t *testing.T) {
	flagLine := regexp.MustCompile(`(?m)^  (-[a-z_-]+)(=<.*>)?$`)
	subLine := regexp.MustCompile(`(?m)^    ([a-z-]+)    `)
	for _, r := range readVectors(t, "help.jsonl") {
		name := strings.Join(r.Argv[1:len(r.Argv)-1], " ")
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if !isCommand(name) {
				t.Skip("not a command yet")
			}
			got := runLine(r.Argv, nil)
			if got.code != 0 || got.stderr != "" {
				t.Fatalf("exit %d, stderr %q", got.code, got.stderr)
			}
			for i, usage := range r.Usage {
				if line := strings.Split(got.stdout, "\n")[i]; line != usage {
					t.Errorf("usage line %d is %q, want %q", i, line, usage)
				}
			}
			var flags, subs []string
			for _, m := range flagLine.FindAllStringSubmatch(got.stdout, -1) {
				flags = append(flags, m[1])
			}
			for _, m := range subLine.FindAllStringSubmatch(got.stdout, -1) {
				subs = append(subs, m[1])
			}
			want := make(map[string]bool) // one is listed twice where its text shows it too
			for _, f := range r.Flags {
				f, _, _ = strings.Cut(f, "=")
				want[f] = true
			}
			for f := range want {
				if !slices.Contains(flags, f) {
					t.Errorf("flag %s is missing", f)
				}
				flags = slices.DeleteFunc(flags, func(g string) bool { return g == f || slices.Contains(ownFlags[name], g) })
			}
			if len(flags) > 0 {
				t.Errorf("flags %v are not Consul's: name them in ownFlags", flags)
			}
			for _, s := range r.Subcommands {
				if isCommand(strings.TrimSpace(name+" "+s)) && !slices.Contains(subs, s) {
					t.Errorf("subcommand %s is missing", s)
				}
			}
		})
	}
}

// commandOf returns the command words of a line: those before the first flag, at most as many as a command has.
func commandOf(argv []string) string {
	if len(argv) > 2 && slices.Contains([]string{"catalog", "connect", "intention", "services"}, argv[1]) {
		return argv[1] + " " + argv[2]
	}
	return argv[1]
}

func isCommand(name string) bool {
	return slices.ContainsFunc(commands(&shell{}), func(c *command) bool { return c.name == name })
}

// deviations are the recorded errors that Lictor words otherwise, because it also names the line, the key or the fix,
// each with what must stand in ours.
var deviations = map[string]string{
	"consul validate bad.hcl":     "bad.hcl:3:1: unexpected token while parsing list: EOF",
	"consul validate unknown.hcl": "unknown.hcl:3:1: invalid config key zzz",
	"consul validate bind.hcl":    `bind_addr: "zzz"`,
	"consul validate nodata.hcl":  "data_dir cannot be empty",
	"consul validate dep.hcl":     "acl.tokens.master is deprecated; use acl.tokens.initial_management",
	"consul validate noext":       "noext: unknown extension",
	"consul validate missing.hcl": "missing.hcl cannot be read: no such file or directory",
	"consul validate svc.hcl":     `svc.hcl:3:9: service "x"`,
	"consul validate dc.hcl":      `datacenter "a b"`,
	"consul validate be.hcl":      "bootstrap_expect > 0 requires server = true",
	"consul validate both.hcl":    "bootstrap_expect > 0 and bootstrap = true",
	"consul validate enc.hcl":     "encrypt is no gossip key",
	"consul validate j.json":      "j.json:1:62: ports.http",

	"consul agent -bind=127.0.0.1":                                                   "==> data_dir cannot be empty",
	"consul agent -data-dir=/tmp/x -bind=zzz":                                        `==> bind_addr: "zzz"`,
	"consul agent -data-dir=/tmp/x -bind=127.0.0.1 -bootstrap-expect=3":              "==> bootstrap_expect > 0 requires server = true",
	"consul agent -config-file=missing.hcl -bind=127.0.0.1":                          "missing.hcl cannot be read: no such file or directory",
	"consul agent -bind=127.0.0.1 -data-dir=/tmp/x -config-format=zzz -config-dir=.": `-config-format: "zzz"`,
}

func TestWithoutAnAgentTheRecordedErrors(t *testing.T) {
	closed := closedPort(t)
	port := closed[strings.LastIndex(closed, ":")+1:]
	lines := readVectors(t, "offline.jsonl")
	t.Chdir(t.TempDir())
	for _, r := range lines {
		line := strings.Join(r.Argv, " ")
		for name, text := range r.Files {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if name := commandOf(r.Argv); !isCommand(name) {
			t.Logf("%s is not a command yet", name)
			continue
		}
		t.Run(strings.ReplaceAll(line, "/", "_"), func(t *testing.T) {
			env := map[string]string{"CONSUL_HTTP_ADDR": closed}
			for name, v := range r.Env {
				if v != nil {
					env[name] = strings.ReplaceAll(*v, "<port:closed>", port)
				}
			}
			got := runLine(r.Argv, env)
			if float64(got.code) != r.Exit {
				t.Errorf("exit code %d, want %v", got.code, r.Exit)
			}
			if !likeRecorded(got.stdout, r.Stdout, port) {
				t.Errorf("stdout %q, want %q", got.stdout, r.Stdout)
			}
			if want, ok := deviations[line]; ok {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("stderr %q, want %q in it", got.stderr, want)
				}
			} else if !likeRecorded(withoutHint(got.stderr), r.Stderr, port) {
				t.Errorf("stderr %q, want %q", got.stderr, r.Stderr)
			}
		})
	}
}

// withoutHint removes the line that is ours from what was printed.
func withoutHint(stderr string) string {
	return regexp.MustCompile(`(?m)^Hint: .*\n`).ReplaceAllString(stderr, "")
}

// likeRecorded compares a text with a recorded one that has placeholders.
func likeRecorded(got, recorded, port string) bool {
	pattern := regexp.QuoteMeta(strings.ReplaceAll(recorded, "<port:closed>", port))
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("<help text>"), `(?s:.+)`)
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("<time>"), `\S+`)
	pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("<base64 of 32 bytes>"), `[A-Za-z0-9+/]{43}=`)
	// The library logs to the process's own stderr, and how often depends on how often a client is made.
	pattern = regexp.MustCompile(`(\\S\+ \\\[WARN\\\][^\n]*\n)+`).ReplaceAllString(pattern, "")
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(got)
}
