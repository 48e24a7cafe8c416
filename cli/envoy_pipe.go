package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// pipeBootstrap is the helper of "connect envoy": it hands stdin to the Envoy that its parent became.
func pipeBootstrap(sh *shell) *command {
	c := newCommand(sh, "connect envoy pipe-bootstrap", "PATH", "Hand a bootstrap to Envoy (internal)")
	c.text = `Writes stdin to the named pipe at PATH, waits until it was read, and removes it with its directory. It is what ` +
		`"connect envoy" uses to keep the token in Envoy's bootstrap out of files.`
	c.example = "connect envoy pipe-bootstrap /tmp/envoy-1/bootstrap.json"
	c.run = func(args []string) error {
		if len(args) != 1 {
			return errors.New("Expecting named pipe path as argument")
		}
		text, err := io.ReadAll(sh.stdin)
		if err != nil {
			return err
		}
		// Opening waits for the reader.
		pipe, err := os.OpenFile(args[0], os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = pipe.Write(text)
		if err := errors.Join(err, pipe.Close(), os.Remove(args[0])); err != nil {
			return fmt.Errorf("handing over the bootstrap: %w", err)
		}
		return os.Remove(filepath.Dir(args[0]))
	}
	return c
}
