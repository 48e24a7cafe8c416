//go:build unix

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// scripted is an engine that does what its test says.
type scripted struct {
	ready    chan struct{}
	draining chan struct{} // closed when a drain begins
	drained  chan struct{} // closed by the test to let it end
	served   chan error
}

func newScripted() *scripted {
	return &scripted{make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan error, 1)}
}

func (e *scripted) Run(ctx context.Context) error {
	select {
	case err := <-e.served:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (e *scripted) Ready() <-chan struct{} { return e.ready }

func (e *scripted) Drain(ctx context.Context) error {
	close(e.draining)
	select {
	case <-e.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lived is a life under test.
type lived struct {
	*scripted
	t       *testing.T
	signals chan os.Signal
	lines   chan string // what the child prints
	result  chan error
}

func live(t *testing.T, argv ...string) *lived {
	t.Helper()
	// A pipe of the operating system: the child writes to it directly, and Wait does not hang on a copying goroutine.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &lived{newScripted(), t, make(chan os.Signal, 2), make(chan string, 10), make(chan error, 1)}
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			l.lines <- s.Text()
		}
		close(l.lines)
	}()
	sh := &shell{program: "lictor", stdin: strings.NewReader(""), stdout: w, stderr: io.Discard}
	sh.stdin = nil // no copying of input
	life := &life{sh: sh, log: hclog.NewNullLogger(), engine: l.scripted, argv: argv, drain: patience, signals: l.signals}
	go func() {
		l.result <- life.run(context.Background())
		w.Close()
	}()
	t.Cleanup(func() { r.Close() })
	return l
}

func (l *lived) printed(want string) {
	l.t.Helper()
	select {
	case got := <-l.lines:
		if got != want {
			l.t.Fatalf("the child printed %q, want %q", got, want)
		}
	case <-time.After(patience):
		l.t.Fatalf("the child did not print %q", want)
	}
}

func (l *lived) silent() {
	l.t.Helper()
	select {
	case got := <-l.lines:
		l.t.Fatalf("the child printed %q too early", got)
	default:
	}
}

func (l *lived) await(what string, c <-chan struct{}) {
	l.t.Helper()
	select {
	case <-c:
	case err := <-l.result:
		l.t.Fatalf("ended with %v instead of %s", err, what)
	case <-time.After(patience):
		l.t.Fatalf("not %s", what)
	}
}

func (l *lived) exits(code int) {
	l.t.Helper()
	select {
	case err := <-l.result:
		got := 0
		var e *exit
		if errors.As(err, &e) {
			got = e.code
		} else if err != nil {
			got = exitFailure
		}
		if got != code {
			l.t.Fatalf("exit code %d (%v), want %d", got, err, code)
		}
	case <-time.After(patience):
		l.t.Fatal("did not end")
	}
}

func TestATermSignalDrainsAndExitsZero(t *testing.T) {
	l := live(t)
	l.signals <- syscall.SIGTERM
	l.await("draining", l.draining)
	select {
	case err := <-l.result:
		t.Fatalf("ended with %v while draining", err)
	default:
	}
	close(l.drained)
	l.exits(0)
}

func TestASecondSignalEndsTheDrainWithOne(t *testing.T) {
	l := live(t)
	l.signals <- syscall.SIGINT
	l.await("draining", l.draining)
	l.signals <- syscall.SIGINT
	l.exits(1)
}

func TestAFaultOfTheEngineIsAnError(t *testing.T) {
	l := live(t)
	l.served <- errors.New("no")
	l.exits(1)
}

func TestTheCommandStartsOnlyOnceTheProxyIsReady(t *testing.T) {
	l := live(t, "standin", "0")
	l.signals <- syscall.SIGHUP // goes nowhere: there is no child yet
	for len(l.signals) > 0 {
		runtime.Gosched()
	}
	l.silent()
	close(l.ready)
	l.printed("started")
	l.signals <- syscall.SIGHUP
	l.printed("hangup")
	l.signals <- syscall.SIGTERM
	l.await("draining", l.draining)
	l.silent() // the child serves on while callers move away
	close(l.drained)
	l.printed("terminated")
	l.exits(0)
}

func TestTheCommandsExitCodePassesThrough(t *testing.T) {
	l := live(t, "standin", "7", "at-once")
	close(l.ready)
	l.printed("started")
	l.await("draining", l.draining)
	close(l.drained)
	l.exits(7)
}

func TestACommandThatIsKilledGivesTheShellsCode(t *testing.T) {
	l := live(t, "sh", "-c", "kill -KILL $$")
	close(l.ready)
	close(l.drained)
	l.exits(128 + 9)
}

func TestACommandThatDoesNotExistEndsWith127(t *testing.T) {
	l := live(t, "/no/such/command")
	close(l.ready)
	l.exits(127)
}

func TestASecondSignalLeavesNoChildBehind(t *testing.T) {
	l := live(t, "sh", "-c", `trap "" TERM; echo ready; sleep 60; sleep 60`)
	close(l.ready)
	<-l.lines
	l.signals <- syscall.SIGTERM
	close(l.drained)
	l.signals <- syscall.SIGTERM
	l.exits(1)
	for range l.lines { // ends when nobody holds the pipe any more: the whole group is gone
	}
}
