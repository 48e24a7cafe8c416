package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// The exit codes of a child that did not start, as shells give them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// child is a program that runs beside a sidecar, in a process group of its own, so that a terminal's Ctrl-C reaches
// it through us alone.
type child struct {
	cmd  *exec.Cmd
	done chan int // its exit code, once
}

// startChild starts argv with this process's streams.
func startChild(sh *shell, argv []string) (*child, error) {
	c := &child{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan int, 1)}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = sh.stdin, sh.stdout, sh.stderr
	ownGroup(c.cmd)
	started := make(chan error, 1)
	go func() {
		// The kernel ties the child's life to the thread that started it (see ownGroup): keep that thread until it ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := c.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		c.done <- exitCode(c.cmd.Wait())
	}()
	if err := <-started; err != nil {
		code := exitNotExecutable
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			code = exitNotFound
		}
		return nil, &exit{code: code, text: fmt.Sprintf("Error starting %q: %v", argv[0], err)}
	}
	return c, nil
}

// signal passes sig to the child and all that it started. One that has ended is no error.
func (c *child) signal(sig os.Signal) { signalGroup(c.cmd.Process, sig) }

// exitCode turns what Wait returned into the code that a shell would give.
func exitCode(err error) int {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &ended):
		return exitFailure
	}
	if code := ended.ExitCode(); code >= 0 {
		return code
	}
	return killedCode(ended.ProcessState)
}
