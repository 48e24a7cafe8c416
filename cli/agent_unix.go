//go:build unix

package cli

import (
	"os"
	"syscall"
)

// reloadSignals are the signals that ask for a reload, after those given.
func reloadSignals(others ...os.Signal) []os.Signal { return append(others, syscall.SIGHUP) }

// private makes what the process writes readable by its user alone, whatever library writes it: the Raft log holds
// the authority's key.
func private() { syscall.Umask(0o077) }
