//go:build unix

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output is what a process has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// lines are those that contain all the words.
func (o *output) lines(words ...string) (found []string) {
next:
	for line := range strings.Lines(o.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, strings.TrimRight(line, "\n"))
	}
	return found
}

// process is one run of the program.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	done           chan struct{}
	err            error
}

// spawn is how a program is run: the zero value runs the program under test without anything in its environment that
// would point it at another agent.
type spawn struct {
	program string
	env     []string
	dir     string
	uid     uint32 // 0 is this user
}

// start runs the program until the test ends, at the latest.
func (s spawn) start(t testing.TB, args ...string) *process {
	t.Helper()
	if s.program == "" {
		s.program = binary(t)
	}
	p := &process{cmd: exec.Command(s.program, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = append(quietEnvironment(), s.env...), s.dir
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.uid != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: s.uid, Gid: s.uid}
	}
	// A grandchild that outlives the process must not keep the test waiting for its output.
	p.cmd.WaitDelay = 2 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("--- %s\n%s%s", strings.Join(args, " "), tail(p.stdout.String()), tail(p.stderr.String()))
		}
	})
	return p
}

// run runs the program to its end, and returns its exit code.
func (s spawn) run(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := s.start(t, args...)
	code = p.exit(t)
	return p.stdout.String(), p.stderr.String(), code
}

func quietEnvironment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LICTOR_") && !strings.HasPrefix(v, "CONSUL_") && !strings.HasPrefix(v, "CONNECT_") {
			env = append(env, v)
		}
	}
	return env
}

func tail(text string) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "")
}

// exit waits for the end and returns the code, -1 after a signal.
func (p *process) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%v still runs after %s", p.cmd.Args, patience)
	}
	var failed *exec.ExitError
	if p.err != nil && !errors.As(p.err, &failed) {
		t.Fatal(p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// alive is nil while the process runs.
func (p *process) alive() error {
	select {
	case <-p.done:
		return hopeless{fmt.Errorf("%v ended with code %d: %s", p.cmd.Args, p.cmd.ProcessState.ExitCode(), tail(p.stderr.String()))}
	default:
		return nil
	}
}

// says is nil once a line of the process's output contains all the words.
func (p *process) says(words ...string) error {
	if len(p.stdout.lines(words...))+len(p.stderr.lines(words...)) > 0 {
		return nil
	}
	if err := p.alive(); err != nil {
		return err
	}
	return fmt.Errorf("no line of the log has all of %q", words)
}

func (p *process) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process at once, as a power failure would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// noPanic fails the test when the process wrote the trace of a crash.
func (p *process) noPanic(t testing.TB) {
	t.Helper()
	for _, text := range []string{p.stdout.String(), p.stderr.String()} {
		if strings.Contains(text, "panic:") || strings.Contains(text, "goroutine 1 [") || strings.Contains(text, "please report this") {
			t.Errorf("%v crashed: %.500s", p.cmd.Args, text[max(0, strings.Index(text, "panic:")):])
		}
	}
}

// another returns a user that is not this one and owns nothing, and skips the test where that cannot be.
func another(t testing.TB) spawn {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can run the program as another user")
	}
	return spawn{uid: 65534}
}

// openDir is a temporary directory that every user may look into.
func openDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// oneLine fails the test unless stderr is one line with all the words, and at most a hint after it.
func oneLine(t testing.TB, stderr string, words ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimRight(stderr, "\n"), "\n")
	if len(lines) > 2 || len(lines) == 2 && !strings.HasPrefix(lines[1], "Hint: ") {
		t.Errorf("more than one line and a hint: %.500s", stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			t.Errorf("%q is not said in: %.500s", w, stderr)
		}
	}
}
