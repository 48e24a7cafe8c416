package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// process is one child. Its output goes to a file of its own.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
	// ending is set before the demo itself ends the process.
	ending atomic.Bool
}

// stopTimeout is how long a child may take to end after SIGTERM before it is killed.
const stopTimeout = 15 * time.Second

// start runs this program again with args.
func (m *Mesh) start(name string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(m.dir, "logs", name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(m.binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(m.environment(), m.extraEnv...)
	// A group of its own, so that the terminal's Ctrl-C reaches the demo alone, which ends its children in order.
	p.cmd.SysProcAttr = ownGroup()
	err = p.cmd.Start()
	_ = out.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
		if p.lost() {
			m.deaths <- p
		}
	}()
	m.mu.Lock()
	m.processes[name] = p
	m.mu.Unlock()
	return p, nil
}

// environment is this process's without what would point the children at another agent.
func (m *Mesh) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LICTOR_") && !strings.HasPrefix(v, "CONSUL_") && !strings.HasPrefix(v, "CONNECT_") {
			env = append(env, v)
		}
	}
	return append(env, "LICTOR_HTTP_ADDR="+loopback(m.layout.HTTP))
}

// exit returns how the process ended: its code, or -1 after a signal.
func (p *process) exit() int {
	<-p.done
	var failed *exec.ExitError
	switch {
	case p.err == nil:
		return 0
	case errors.As(p.err, &failed):
		return failed.ExitCode()
	default:
		return -1
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// lost tells whether the process has ended without having been asked to.
func (p *process) lost() bool { return !p.running() && !p.ending.Load() }

// how says how the process ended.
func (p *process) how() string {
	if code := p.exit(); code >= 0 {
		return fmt.Sprintf("ended with exit code %d", code)
	}
	return "ended by " + p.err.Error()
}

// lastLine is the last line of the process's log.
func (p *process) lastLine() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(content))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// terminate asks the process to end.
func (p *process) terminate() error {
	p.ending.Store(true)
	return terminate(p.cmd.Process)
}

// stop asks the process to end and waits until it has.
func (p *process) stop() {
	if !p.running() {
		return
	}
	_ = p.terminate()
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.kill()
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.ending.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// process returns a child by name.
func (m *Mesh) process(name string) *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.processes[name]
}

// Stop ends every child: the sidecars first, which drain, then the applications, then the agent.
func (m *Mesh) Stop() {
	for _, kind := range []string{"sidecar-", "app-", "agent"} {
		var wg sync.WaitGroup
		m.mu.Lock()
		for name, p := range m.processes {
			if strings.HasPrefix(name, kind) {
				wg.Go(p.stop)
			}
		}
		m.mu.Unlock()
		wg.Wait()
	}
	if m.temporary {
		_ = os.RemoveAll(m.dir)
	}
}

// run runs a command of this program to its end and returns what it printed.
func (m *Mesh) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, m.binary, args...)
	cmd.Env = append(m.environment(), m.extraEnv...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("lictor %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
