package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/internal/atomicfile"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The folders below the data directory.
const (
	servicesDir = "services"
	checksDir   = "checks"
	ttlDir      = "checks/state"
)

// files keeps registrations below the data directory: a file each, named by the hash of its id, of mode 0600,
// because they hold tokens. A file is a line with its format and the checksum of the rest, and a msgpack record.
type files struct{ root string }

const formatLine = "lictor-registration 1 "

func openFiles(root string) (*files, error) {
	f := &files{root: root}
	for _, dir := range []string{servicesDir, checksDir, ttlDir} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			return nil, fault.New(fault.Internal, "cannot use the data directory for registrations: %w", err).
				WithHint("make %s a directory that the agent's user may write", root)
		}
	}
	return f, nil
}

func (f *files) path(dir, id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(f.root, dir, hex.EncodeToString(sum[:]))
}

// put writes a record so that after a crash either the old or the new one is there, whole.
func (f *files) put(dir, id string, record []byte) error {
	path := f.path(dir, id)
	sum := sha256.Sum256(record)
	var b bytes.Buffer
	b.WriteString(formatLine + hex.EncodeToString(sum[:]) + "\n")
	b.Write(record)
	return atomicfile.Write(path, b.Bytes(), 0o600)
}

// remove deletes a record; one that is not there is fine.
func (f *files) remove(dir, id string) error {
	path := f.path(dir, id)
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// all calls take with every record of a folder, in the order of the file names, and clears what an
// interrupted put left. A damaged file is an error that names it.
func (f *files) all(dir string, take func(record []byte) error) error {
	root := filepath.Join(f.root, dir)
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		switch {
		case e.IsDir():
			continue
		case strings.HasPrefix(e.Name(), "."):
			// What an interrupted write left beside the file it was to replace.
			_ = os.Remove(path)
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		record, err := unwrap(content)
		if err == nil {
			err = take(record)
		}
		if err != nil {
			return fault.New(fault.Internal, "%s is damaged: %v", path, err).
				WithHint("restore %s from a backup, or remove it and register again what it held", path)
		}
	}
	return nil
}

func unwrap(content []byte) ([]byte, error) {
	line, record, ok := bytes.Cut(content, []byte("\n"))
	sum, found := strings.CutPrefix(string(line), formatLine)
	if !ok || !found {
		return nil, errors.New("it does not begin as a registration")
	}
	if got := sha256.Sum256(record); !slices.Equal([]byte(sum), []byte(hex.EncodeToString(got[:]))) {
		return nil, fmt.Errorf("its checksum does not match (%d bytes)", len(content))
	}
	return record, nil
}
