//go:build unix

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

// becomeEnvoy replaces this process by Envoy. The bootstrap holds a token, and so goes neither into a file nor onto a
// command line: a helper of ours writes it into a named pipe, which it removes once Envoy has read it.
func becomeEnvoy(binary string, bootstrap []byte, args []string) error {
	dir, err := os.MkdirTemp("", "envoy-")
	if err != nil {
		return err
	}
	pipe := filepath.Join(dir, "bootstrap.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		return fmt.Errorf("making a pipe for the bootstrap: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	helper := exec.Command(self, "connect", "envoy", "pipe-bootstrap", pipe)
	helper.Args[0] = "lictor" // by which the program knows itself, whatever its file is called
	helper.Stderr = os.Stderr
	in, err := helper.StdinPipe()
	if err != nil {
		return err
	}
	if err := helper.Start(); err != nil {
		return fmt.Errorf("starting the helper that hands over the bootstrap: %w", err)
	}
	if _, err := io.Copy(in, bytes.NewReader(bootstrap)); err != nil {
		return err
	}
	if err := in.Close(); err != nil {
		return err
	}
	argv := slices.Concat([]string{binary, "--config-path", pipe}, args)
	if err := syscall.Exec(binary, argv, os.Environ()); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", binary, err), os.RemoveAll(dir))
	}
	return nil
}
