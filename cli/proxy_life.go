package cli

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// engine is a proxy as its command drives it.
type engine interface {
	// Run serves until ctx ends or a drain is over; an error says why it cannot.
	Run(ctx context.Context) error
	// Ready is closed once the proxy has all that it needs to serve.
	Ready() <-chan struct{}
	// Drain leaves the healthy set, stops accepting and waits for open connections, until ctx ends.
	Drain(ctx context.Context) error
}

// life is a proxy from its start to the exit code of its process.
type life struct {
	sh      *shell
	log     hclog.Logger
	engine  engine
	argv    []string // what to run beside the proxy once it is ready; empty for nothing
	drain   time.Duration
	signals <-chan os.Signal

	child *child // nil while none runs
}

// run serves until a signal, the end of the child or a fault of the proxy. Its error carries the exit code: 0 after
// draining, the child's where there is one, 1 after a second signal.
func (l *life) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- l.engine.Run(ctx) }()
	ready := l.engine.Ready()
	defer func() {
		cancel()
		if l.child != nil {
			l.child.signal(syscall.SIGKILL)
			<-l.child.done
		}
	}()
	for {
		select {
		case <-ready:
			ready = nil
			if err := l.startChild(); err != nil {
				return err
			}
		case err := <-served:
			if err != nil {
				return fmt.Errorf("==> Error running proxy: %w", err)
			}
			l.log.Info("drained through the admin address")
			return l.endChild(syscall.SIGTERM)
		case code := <-l.childDone():
			l.child = nil
			l.log.Info("the command ended; draining", "exit_code", code)
			if err := l.drainAll(); err != nil {
				return err
			}
			return codeOf(code)
		case sig := <-l.signals:
			if ends(sig) {
				return l.stop(sig)
			}
			l.forward(sig)
		}
	}
}

func (l *life) startChild() error {
	if len(l.argv) == 0 {
		return nil
	}
	c, err := startChild(l.sh, l.argv)
	if err != nil {
		return err
	}
	l.log.Info("started the command", "command", l.argv[0], "pid", c.cmd.Process.Pid)
	l.child = c
	return nil
}

func (l *life) childDone() <-chan int {
	if l.child == nil {
		return nil
	}
	return l.child.done
}

// drainMargin is what a drain may take beyond its timeout: leaving the healthy set comes first.
const drainMargin = 10 * time.Second

// ends tells whether sig asks this process to end.
func ends(sig os.Signal) bool { return sig == os.Interrupt || sig == syscall.SIGTERM }

func (l *life) forward(sig os.Signal) {
	if l.child != nil {
		l.child.signal(sig)
	}
}

// stop answers sig: the proxy drains, then the child gets the signal, since a server that stops accepting before its
// callers have moved on loses requests. A second signal ends both at once.
func (l *life) stop(sig os.Signal) error {
	l.log.Info("draining; a second signal ends at once", "signal", sig, "timeout", l.drain)
	if err := l.drainAll(); err != nil {
		return err
	}
	return l.endChild(sig)
}

// endChild passes sig to the child and waits for its end, which a second signal cuts short.
func (l *life) endChild(sig os.Signal) error {
	if l.child == nil {
		return nil
	}
	l.child.signal(sig)
	for {
		select {
		case code := <-l.child.done:
			l.child = nil
			return codeOf(code)
		case sig := <-l.signals:
			if ends(sig) {
				return &exit{code: exitFailure, text: "==> Second signal, not waiting for the command to end"}
			}
			l.forward(sig)
		}
	}
}

// drainAll waits until the engine has drained or its time is over. A second signal ends the wait with an error.
func (l *life) drainAll() error {
	// The engine keeps the time itself; this bound is for an engine that does not.
	ctx, cancel := context.WithTimeout(context.Background(), l.drain+drainMargin)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- l.engine.Drain(ctx) }()
	for {
		select {
		case err := <-drained:
			if err != nil {
				l.log.Warn("connections were open when the drain timeout ended", "error", err)
			}
			return nil
		case sig := <-l.signals:
			if ends(sig) {
				return &exit{code: exitFailure, text: "==> Second signal, not waiting for open connections"}
			}
			l.forward(sig)
		}
	}
}

// codeOf is the error that ends the command with the child's exit code.
func codeOf(code int) error {
	if code == 0 {
		return nil
	}
	return &exit{code: code}
}
