//go:build !unix

package cli

import (
	"errors"
	"runtime"
)

// becomeEnvoy needs named pipes and exec, which only Unix has.
func becomeEnvoy(string, []byte, []string) error {
	return withHint(errors.New("starting Envoy is not supported on "+runtime.GOOS),
		"print its configuration with -bootstrap, and start Envoy with --config-path")
}
