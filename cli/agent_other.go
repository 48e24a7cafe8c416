//go:build !unix

package cli

import "os"

// reloadSignals adds nothing: this system has no signal that asks for a reload.
func reloadSignals(others ...os.Signal) []os.Signal { return others }

// private does nothing: this system has no mask for new files.
func private() {}
