package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a child with all its descendants. Its output goes to a file.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// How long a child may take to end before it is killed: where it ends for good, and where its data are of use again.
const (
	quitTimeout = time.Second
	stopTimeout = 5 * time.Second
)

// start starts a program in a process group of its own. env is added to the environment.
func (r *rig) start(dir, name string, env []string, path string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(environment(), env...)
	p.cmd.SysProcAttr = ownGroup()
	err = p.cmd.Start()
	_ = out.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ends is of no interest here: who needs it alive notices
		close(p.done)
	}()
	r.processes = append(r.processes, p)
	return p, nil
}

// environment is this process's without what would point the children at another agent.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LICTOR_") && !strings.HasPrefix(v, "CONSUL_") && !strings.HasPrefix(v, "CONNECT_") {
			env = append(env, v)
		}
	}
	return env
}

// alive returns an error with the end of the log when the process has ended.
func (p *process) alive() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return fmt.Errorf("%s has ended: %s", p.name, strings.Join(lines[max(0, len(lines)-5):], " | "))
}

// stop asks the process to end, kills it and its descendants when the time is over, and waits until it has ended.
func (p *process) stop(limit time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(limit):
		p.kill()
	}
}

func (p *process) kill() {
	killGroup(p.cmd.Process.Pid)
	<-p.done
}

// memory is what a process and its descendants hold, in bytes.
type memory struct {
	rss, anonymous int64
}

// cpuOf sums the CPU time of processes.
func cpuOf(list ...*process) (total time.Duration, err error) {
	for _, p := range list {
		d, err := groupCPU(p.cmd.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("CPU time of %s: %w", p.name, err)
		}
		total += d
	}
	return total, nil
}

// memoryOf reads the memory of a process and its descendants. Pages that several of them map count for each.
func memoryOf(p *process) (memory, error) {
	m, err := groupMemory(p.cmd.Process.Pid)
	if err != nil {
		return memory{}, fmt.Errorf("memory of %s: %w", p.name, err)
	}
	return m, nil
}
