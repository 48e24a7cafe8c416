//go:build unix

package checks

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// isolate gives the script a process group of its own, so that cancelling reaches all that it started.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
