//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"
)

// forwarded are the signals that go to a child as they come.
func forwarded() []os.Signal {
	return []os.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}
}

func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

func signalGroup(p *os.Process, sig os.Signal) {
	if s, ok := sig.(syscall.Signal); ok {
		// The group's id is the child's. An error means that nobody is left in it.
		_ = syscall.Kill(-p.Pid, s)
	}
}

// killedCode is 128 plus the signal that ended the process, as shells report it.
func killedCode(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exitFailure
}
