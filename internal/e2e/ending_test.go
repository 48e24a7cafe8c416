//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestExitCodesOfAnAgent holds how an agent ends: 0 after it left, 1 when it was stopped without.
func TestExitCodesOfAnAgent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extra string
		sig   syscall.Signal
		code  int
		says  string
	}{
		"SIGTERM to a server":             {"", syscall.SIGTERM, 1, "terminated"},
		"SIGINT to a server":              {"", syscall.SIGINT, 1, "interrupt"},
		"SIGTERM with leave_on_terminate": {"leave_on_terminate = true", syscall.SIGTERM, 0, "leave complete"},
		"SIGINT that leaves":              {"skip_leave_on_interrupt = false", syscall.SIGINT, 0, "leave complete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, c.extra)
			a.signal(t, c.sig)
			if code := a.exit(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if a.says(c.says) != nil {
				t.Errorf("the log does not say %q", c.says)
			}
			a.noPanic(t)
			a.start(t)
		})
	}
}

func TestLeaveCommandEndsTheAgent(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	stdout, stderr, code := a.lictor().run(t, "leave")
	if code != 0 || !strings.Contains(stdout, "Graceful leave complete") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if code := a.exit(t); code != 0 {
		t.Errorf("exit code of the agent %d", code)
	}
	a.start(t)
}

func TestCommandsWithoutAnAgentSayWhere(t *testing.T) {
	t.Parallel()
	address := loopback(freePort(t))
	for _, command := range [][]string{
		{"members"}, {"catalog", "nodes"}, {"catalog", "services"}, {"services", "deregister", "-id=x"}, {"intention", "list"}, {"info"}, {"leave"}, {"reload"},
	} {
		_, stderr, code := spawn{}.run(t, append(command, "-http-addr="+address)...)
		if code != 1 || !strings.Contains(stderr, address) || !strings.Contains(stderr, "connection refused") {
			t.Errorf("%v: exit code %d: %s", command, code, stderr)
		}
	}
}

// TestFlagsAndEnvironment holds both spellings of flags, and which environment wins.
func TestFlagsAndEnvironment(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	nowhere := loopback(freePort(t))
	lictor, consul := "LICTOR_HTTP_ADDR=", "CONSUL_HTTP_ADDR="
	for _, c := range []struct {
		args []string
		env  []string
		code int
	}{
		{[]string{"members", "-http-addr=" + a.at("http")}, nil, 0},
		{[]string{"members", "--http-addr=" + a.at("http")}, nil, 0},
		{[]string{"members", "--http-addr", "http://" + a.at("http")}, nil, 0},
		{[]string{"members"}, []string{lictor + a.at("http")}, 0},
		{[]string{"members"}, []string{consul + a.at("http")}, 0},
		{[]string{"members"}, []string{lictor + a.at("http"), consul + nowhere}, 0},
		{[]string{"members"}, []string{lictor + nowhere, consul + a.at("http")}, 1},
		{[]string{"members", "-http-addr", a.at("http")}, []string{lictor + nowhere}, 0},
	} {
		stdout, stderr, code := spawn{env: c.env}.run(t, c.args...)
		if code != c.code || code == 0 && !strings.Contains(stdout, "host") {
			t.Errorf("%v %v: exit code %d: %s%s", c.env, c.args, code, stdout, stderr)
		}
	}
}

// TestNameConsul holds that the program behaves the same under the other name, and speaks of itself by it.
func TestNameConsul(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	link := filepath.Join(t.TempDir(), "consul")
	if err := os.Symlink(binary(t), link); err != nil {
		t.Fatal(err)
	}
	consul := spawn{program: link, env: []string{"CONSUL_HTTP_ADDR=" + a.at("http")}}
	for _, args := range [][]string{{"members"}, {"catalog", "services"}, {"version"}} {
		as, _, code := consul.run(t, args...)
		own, _, _ := a.lictor().run(t, args...)
		if code != 0 || as != own {
			t.Errorf("%v: exit code %d\n%s\n%s", args, code, as, own)
		}
	}
	if stdout, _, _ := consul.run(t, "version"); !strings.HasPrefix(stdout, "Consul v1.21.4\n") {
		t.Errorf("version says %q", stdout)
	}
	if _, stderr, code := consul.run(t, "nonsense"); code != 127 || !strings.Contains(stderr, "is not a command of consul") {
		t.Errorf("exit code %d: %s", code, tail(stderr))
	}
}
