package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/lictor-mesh/lictor/internal/atomicfile"
	"github.com/lictor-mesh/lictor/model"
)

// dataDir is the directory that an agent owns while it runs.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the directory if need be and takes its lock, which ends with the process. An empty path
// is an agent that keeps nothing.
func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return &dataDir{}, nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w; make it writable for this user, or choose another with -data-dir", err)
	}
	name := filepath.Join(path, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data_dir %s is not writable: %w; give it to this user, or choose another with -data-dir", path, err)
	}
	if err := lockFile(f); err != nil {
		owner, _ := os.ReadFile(name)
		_ = f.Close()
		return nil, fmt.Errorf("data_dir %s is in use by another agent (process %s); stop that one, or choose another with -data-dir",
			path, strings.TrimSpace(string(owner)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &dataDir{path: path, lock: f}, nil
}

func (d *dataDir) close() {
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

// in returns a path in the directory, "" when nothing is kept.
func (d *dataDir) in(elem ...string) string {
	if d.path == "" {
		return ""
	}
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// has tells whether a folder of the directory is there and holds something.
func (d *dataDir) has(folder string) bool {
	if d.path == "" {
		return false
	}
	entries, err := os.ReadDir(d.in(folder))
	return err == nil && len(entries) > 0
}

// nodeID returns the identity of this host: the configured one, else the one kept in the directory, else a
// new one, which is kept.
func (d *dataDir) nodeID(configured model.NodeID) (model.NodeID, error) {
	name := d.in("node-id")
	if configured != "" {
		return configured, d.keepNodeID(name, configured)
	}
	if name != "" {
		kept, err := os.ReadFile(name)
		switch {
		case err == nil:
			id, err := uuid.Parse(strings.TrimSpace(string(kept)))
			if err != nil {
				return "", fmt.Errorf("%s holds no node id: %w; write the id back that this host had, or on a client agent remove the file for a new identity", name, err)
			}
			return model.NodeID(id.String()), nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("reading the node id: %w", err)
		}
	}
	id := model.NodeID(uuid.NewString())
	return id, d.keepNodeID(name, id)
}

func (d *dataDir) keepNodeID(name string, id model.NodeID) error {
	if name == "" {
		return nil
	}
	if err := atomicfile.Write(name, []byte(string(id)+"\n"), 0o600); err != nil {
		return fmt.Errorf("keeping the node id: %w", err)
	}
	return nil
}
