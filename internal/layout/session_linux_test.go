package layout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sessionScript is the variable that makes this test binary the first process of a session: it holds the script.
const sessionScript = "LAYOUT_SESSION_SCRIPT"

// sessionTime bounds a session.
const sessionTime = 2 * time.Minute

func TestMain(m *testing.M) {
	if path := os.Getenv(sessionScript); path != "" {
		fmt.Fprintln(os.Stderr, enter(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// enter switches the loopback of a fresh network on and becomes the shell. It returns only to say what failed.
func enter(path string) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("the session's loopback does not come up: %w", err)
	}
	os.Unsetenv(sessionScript)
	return syscall.Exec("/bin/sh", []string{"sh", path}, os.Environ())
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// runSession runs commands in a directory and, where the system permits, a network of their own, with bin first on
// the PATH. When it returns nothing that they started is left.
func runSession(t *testing.T, bin string, commands []command) (output string, err error) {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(t.TempDir(), "session.sh")
	if err := os.WriteFile(path, []byte(script(commands)), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := sessionEnv(bin, home)
	out, err := start(t, home, append(env, sessionScript+"="+path), true, self)
	if errors.Is(err, errNoNetwork) {
		t.Logf("%v: the session shares this host's, and fails where a usual port is taken", err)
		out, err = start(t, home, env, false, "/bin/sh", path)
	}
	return out, err
}

// sessionEnv is the environment of a newcomer.
func sessionEnv(bin, home string) (env []string) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "HOME" && name != "PATH" && !strings.HasPrefix(name, "CONSUL_") && !strings.HasPrefix(name, "LICTOR_") {
			env = append(env, kv)
		}
	}
	return append(env, "HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"))
}

var errNoNetwork = errors.New("the system permits no network for the session alone")

// start runs a program as the leader of a process group, and ends the whole group with it.
func start(t *testing.T, dir string, env []string, alone bool, argv ...string) (string, error) {
	log, err := os.Create(filepath.Join(t.TempDir(), "session.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), sessionTime)
	defer cancel()
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, env, log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if alone {
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if err := c.Start(); err != nil {
		if alone {
			return "", fmt.Errorf("%w: %w", errNoNetwork, err)
		}
		return "", err
	}
	err = c.Wait()
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // what did not end with the shell
	out, readErr := os.ReadFile(log.Name())
	if ctx.Err() != nil {
		err = fmt.Errorf("the session did not end within %v", sessionTime)
	}
	return last(string(out)), errors.Join(err, readErr)
}

// last returns the end of a log.
func last(log string) string {
	lines := strings.SplitAfter(log, "\n")
	return strings.Join(lines[max(0, len(lines)-80):], "")
}

// buildProgram builds what the documents call lictor, and returns its directory.
func buildProgram(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	c := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "lictor"), "./cmd/lictor")
	c.Dir, c.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("lictor does not build: %v\n%s", err, out)
	}
	return bin
}

// fakeProgram makes a lictor whose agent is ready only after a while, and notes that it ends when it is told to.
func fakeProgram(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	text := `#!/bin/sh
case "$1" in
agent) trap 'echo ended >> "$NOTES"; exit 0' TERM; sleep 0.5; echo "ready $$" >> "$NOTES"; while :; do sleep 0.1; done;;
members) grep -q ready "$NOTES" && echo "n1 alive";;
demo) exit 3;;
where) echo "$HOME" >&2;;
*) echo "unknown: $1" >&2; exit 127;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "lictor"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return bin
}

func session(t *testing.T, bin, text string) (string, error) {
	t.Helper()
	commands, err := runnables("a.md", runnableFence+"\n"+text+"\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	return runSession(t, bin, commands)
}

func TestSessionWaitsForWhatServesAndEndsIt(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	out, err := session(t, fakeProgram(t), "export NOTES="+notes+"\nlictor agent -dev\nlictor members\ntouch a && mkdir sub && cd sub\ntest -e ../a")
	if err != nil || !strings.Contains(out, "n1 alive") {
		t.Fatalf("%v\n%s", err, out)
	}
	noted, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(noted))
	if len(words) != 3 || words[2] != "ended" {
		t.Fatalf("the agent noted %q, and not that it was told to end", noted)
	}
	if _, err := os.Stat("/proc/" + words[1]); err == nil {
		t.Errorf("process %s outlived its session", words[1])
	}
}

func TestSessionTellsTheCommandThatFailed(t *testing.T) {
	bin := fakeProgram(t)
	for text, told := range map[string]string{
		"lictor where\nlictor nonsense\nlictor where": "a.md:3 failed",
		"lictor demo\nlictor members":                 "a.md:3 failed",
		"false | true\nfalse":                         "a.md:3 failed",
		"sh -c 'exit 0' &\nsleep 0.3":                 "a command that should serve has ended",
	} {
		out, err := session(t, bin, text)
		if err == nil || !strings.Contains(out, told) {
			t.Errorf("%q: %v, want %q in\n%s", text, err, told, out)
		}
	}
}

func TestSessionHasTheUsualPortsToItself(t *testing.T) {
	out, err := session(t, fakeProgram(t), "grep -c : /proc/net/dev\ncat /proc/net/dev")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(out, "eth") || !strings.Contains(out, "lo:") {
		t.Skipf("this system gives a session no network of its own:\n%s", out)
	}
}
