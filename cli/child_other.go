//go:build !unix

package cli

import (
	"os"
	"os/exec"
)

func forwarded() []os.Signal { return nil }

// ownGroup does nothing: there are no process groups to put the child into.
func ownGroup(*exec.Cmd) {}

// signalGroup ends the process: there is no other signal.
func signalGroup(p *os.Process, _ os.Signal) { _ = p.Kill() }

func killedCode(*os.ProcessState) int { return exitFailure }
