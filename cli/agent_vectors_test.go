//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startAgent runs "agent -dev" as its own process on free ports, and returns its HTTP address and the process once a
// leader and the node are there.
func startAgent(t *testing.T, more ...string) (addr string, agent *exec.Cmd) {
	t.Helper()
	args := []string{"agent", "-dev", "-bind=127.0.0.1", "-node=node1", "-node-id=11111111-1111-1111-1111-111111111111", "-log-level=warn"}
	for _, name := range []string{"http", "dns", "grpc", "grpc-tls", "server", "serf-lan", "serf-wan"} {
		free := closedPort(t)
		_, port, err := net.SplitHostPort(free)
		if err != nil {
			t.Fatal(err)
		}
		if name == "http" {
			addr = free
		}
		args = append(args, fmt.Sprintf("-%s-port=%s", name, port))
	}
	agent = exec.Command("consul", append(args, more...)...)
	agent.Env = append(os.Environ(), "LICTOR_HTTP_ADDR=", "CONSUL_HTTP_ADDR=")
	var log bytes.Buffer
	agent.Stdout, agent.Stderr = &log, &log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		if t.Failed() {
			t.Logf("the agent said:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := runLine([]string{"consul", "catalog", "nodes", "-service=consul"}, map[string]string{"CONSUL_HTTP_ADDR": addr})
		if got.code == 0 && strings.Contains(got.stdout, "node1") {
			return addr, agent
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent is not there: %s\n%s", got.stderr, log.String())
		}
	}
}

func TestAgainstAnAgentTheRecordedAnswers(t *testing.T) {
	lines := readVectors(t, "agent.jsonl")
	addr, agent := startAgent(t)
	t.Chdir(t.TempDir())
	closed := closedPort(t)
	for _, r := range lines {
		for name, text := range r.Files {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i, arg := range r.Argv {
			r.Argv[i] = strings.ReplaceAll(arg, "127.0.0.1:<port:closed>", closed)
		}
		ok := t.Run(strings.ReplaceAll(strings.Join(r.Argv, " "), "/", "_"), func(t *testing.T) { replay(t, r, addr) })
		if !ok && strings.HasPrefix(strings.Join(r.Argv, " "), "consul services register web") {
			t.FailNow() // what follows builds on it
		}
	}
	// The last line had it leave.
	if err := agent.Wait(); err != nil {
		t.Errorf("the agent left with %v, want exit code 0", err)
	}
}

// replay runs one recorded line until it answers as recorded, for as long as the catalog may lag behind the agent.
func replay(t *testing.T, r recorded, addr string) {
	var got outcome
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got = runLine(r.Argv, map[string]string{"CONSUL_HTTP_ADDR": addr})
		if float64(got.code) == r.Exit && sameText(got.stdout, expectedStdout(r)) && sameText(withoutHint(got.stderr), r.Stderr) {
			return
		}
		// Only a read may be asked again.
		if r.Argv[1] != "catalog" || time.Now().After(deadline) {
			break
		}
	}
	if strings.Contains(got.stderr, "code: 501 ") {
		t.Skip(got.stderr)
	}
	t.Errorf("exit %d, want %v\nstdout %q\n  want %q\nstderr %q\n  want %q", got.code, r.Exit, got.stdout, expectedStdout(r), got.stderr, r.Stderr)
}

// expectedStdout is what was recorded, with what is ours by design: our version beside Consul's. A row of the list of
// intentions is left out, which came from a config entry that an earlier line of the record had written.
func expectedStdout(r recorded) string {
	out := r.Stdout
	out = strings.Replace(out, "Consul v1.21.4\n", "Consul v1.21.4\nLictor v<string>\n", 1)
	out = strings.Replace(out, "\n   }\n}\n", "\n   },\n   \"Lictor\": {\n      \"Version\": \"<string>\",\n      \"Prerelease\": \"<string>\"\n   }\n}\n", 1)
	out = regexp.MustCompile(`(?m)^ +api +allow +web +9\n`).ReplaceAllString(out, "")
	if strings.HasPrefix(strings.Join(r.Argv[1:], " "), "reload") {
		out += "<help text>"
	}
	return out
}

// sameText compares with placeholders, and without regard to how wide columns are: their values differ.
func sameText(got, recorded string) bool {
	squeeze := func(s string) string { return regexp.MustCompile(` +`).ReplaceAllString(s, " ") }
	pattern := regexp.QuoteMeta(squeeze(recorded))
	for name, value := range map[string]string{`<help text>`: `(?s:.+)`, `<time>`: `[^"]+`, `<string>`: `[^"\n]*`, `<uuid:[a-z]+>`: `[0-9a-f-]{36}`,
		`<port:closed>`: `\d+`, `<port:[a-z_]+>`: `\d+`} {
		pattern = regexp.MustCompile(name).ReplaceAllLiteralString(pattern, value)
	}
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(squeeze(got))
}

func TestSignalsEndTheAgentWithTheRecordedCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		sig  syscall.Signal
		more []string
		want int
	}{
		// A server stays in the cluster by default, and so does not exit with 0.
		{"SIGTERM", syscall.SIGTERM, nil, 1},
		{"SIGINT", syscall.SIGINT, nil, 1},
		{"SIGINT with skip_leave_on_interrupt=false", syscall.SIGINT, []string{"-hcl=skip_leave_on_interrupt = false"}, 0},
		{"SIGTERM with leave_on_terminate", syscall.SIGTERM, []string{"-hcl=leave_on_terminate = true"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, agent := startAgent(t, c.more...)
			if err := agent.Process.Signal(c.sig); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() { defer close(done); _ = agent.Wait() }()
			wait(t, "the agent to end", done)
			if got := agent.ProcessState.ExitCode(); got != c.want {
				t.Errorf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

func TestReloadSaysWhatItDidAndABadFileChangesNothing(t *testing.T) {
	file := t.TempDir() + "/agent.hcl"
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`service { name = "one" port = 1 }`)
	addr, _ := startAgent(t, "-config-file="+file)
	env := map[string]string{"CONSUL_HTTP_ADDR": addr}
	reloads := func(code int, out *string, want ...string) {
		t.Helper()
		got := runLine([]string{"lictor", "reload"}, env)
		*out = got.stdout + got.stderr
		if got.code != code {
			t.Fatalf("exit code %d, want %d: %s", got.code, code, *out)
		}
		for _, w := range want {
			if !strings.Contains(*out, w) {
				t.Errorf("%q is not in %q", w, *out)
			}
		}
	}
	registered := func(name string) bool {
		return runLine([]string{"lictor", "services", "deregister", "-id=" + name}, env).code == 0
	}
	var said string
	write("service { name = \"two\" port = 2 }\ndatacenter = \"dc9\"\n")
	reloads(0, &said, "Configuration reload triggered\n", "Applied: services\n", "Needs a restart: datacenter\n")
	write("service { name = \"three\" prot = 3 }")
	reloads(1, &said, "Error reloading: Unexpected response code: 500 (", "agent.hcl:1:", "prot")
	if registered("one") || !registered("two") || registered("three") {
		t.Error("the services are not those of the last good file")
	}
}

// TestASidecarRunsItsCommandAgainstAnAgent is the whole way of "connect proxy -- CMD": registration by file, xDS,
// ready, the command, the lease, the drain, the exit code.
func TestASidecarRunsItsCommandAgainstAnAgent(t *testing.T) {
	addr, _ := startAgent(t)
	env := map[string]string{"CONSUL_HTTP_ADDR": addr}
	admin := closedPort(t)
	proxy := exec.Command("lictor", "connect", "proxy", "-sidecar-for=web", "-admin-addr="+admin, "--", "standin", "6")
	proxy.Env = append(os.Environ(), "LICTOR_HTTP_ADDR="+addr)
	out, err := proxy.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	proxy.Stderr = &log
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = proxy.Process.Kill() }()
	lines := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	printed := func(want string) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case line, ok := <-lines:
				if line == want {
					return
				}
				if !ok {
					t.Fatalf("ended without %q:\n%s", want, log.String())
				}
			case <-deadline:
				t.Fatalf("%q was not printed", want)
			}
		}
	}
	// The proxy is first: it waits for its registration.
	file := t.TempDir() + "/web.hcl"
	if err := os.WriteFile(file, []byte(`service { name = "web" port = 1 connect { sidecar_service {} } }`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runLine([]string{"lictor", "services", "register", file}, env); got.code != 0 {
		t.Fatal(got.stderr)
	}
	printed("started")
	if resp, err := http.Get("http://" + admin + "/ready"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("/ready: %v, %v", resp, err)
	}
	if err := proxy.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	printed("terminated")
	for range lines {
	}
	if err := proxy.Wait(); proxy.ProcessState.ExitCode() != 6 {
		t.Errorf("ended with %v, want the command's exit code 6\n%s", err, log.String())
	}
	if !strings.Contains(log.String(), "no subscriber has this proxy among its endpoints any longer") {
		t.Errorf("the proxy did not leave the healthy set before it ended:\n%s", log.String())
	}
}
