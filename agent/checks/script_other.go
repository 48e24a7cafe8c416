//go:build !unix

package checks

import "os/exec"

// isolate does nothing here: without process groups only the script itself is killed, and WaitDelay keeps
// what it started from holding the check.
func isolate(*exec.Cmd) {}
