package agent

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the file for this process, or fails at once when another has it.
func lockFile(f *os.File) error {
	const whole = 0xffffffff
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, whole, whole, &windows.Overlapped{})
}
