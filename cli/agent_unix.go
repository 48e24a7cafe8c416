//go:build unix

package cli

import (
	"os"
	"syscall"
)

// reloadSignals are the signals that ask for a reload, after those given.
func reloadSignals(others ...os.Signal) []os.Signal { return append(others, syscall.SIGHUP) }
