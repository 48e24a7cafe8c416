package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// What the write-ahead log does with a file that is gone or does not begin as it should is right for a crash
// between two writes: it takes it for empty, and removes the files that its index does not name. After damage the
// same would be a silent loss of acknowledged writes. This file tells the two apart: before the log is opened, by the
// files that must be there together, and after it, by the mark.

// markKey is where the stable store keeps the mark: an index that was applied here, which only what is committed
// is. No end of the process, however sudden, leaves a log and snapshots that end before it.
const markKey = "lictor-applied"

// markInterval is how often the mark follows the log. Each move costs an fsync; what was applied since the last is
// not guarded.
const markInterval = 5 * time.Second

// recovery is the fix for a directory that cannot be used as it is.
const recovery = "restore it from a backup; if there is none, move the directory away and let this server join the others anew"

// checkFiles refuses a directory in which the log would remove its own files when opened.
func checkFiles(dir string) error {
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) == 0 {
		return err
	}
	index := filepath.Join(dir, metadb.FileName)
	stat, err := os.Stat(index)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing beside the log's segments", index)
	case err != nil:
		return err
	case stat.Size() == 0:
		return fmt.Errorf("%s is empty beside the log's segments", index)
	}
	var db metadb.BoltMetaDB
	state, err := db.Load(dir)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	for _, s := range segments {
		var first, id uint64
		if _, err := fmt.Sscanf(filepath.Base(s), "%020d-%016x.wal", &first, &id); err != nil {
			return fmt.Errorf("%s has not the name of a segment: %w", s, err)
		}
		if id >= state.NextSegmentID {
			return fmt.Errorf("%s is older than the segment %s", index, filepath.Base(s))
		}
	}
	return nil
}

// openIntact opens the log. A damaged index makes its database fail in ways that are not errors: it is read from
// memory that the file may not back.
func openIntact(dir string, segment int, logger hclog.Logger) (log *wal.WAL, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is damaged (%v)", filepath.Join(dir, metadb.FileName), p)
		}
	}()
	if err := checkFiles(dir); err != nil {
		return nil, err
	}
	return openWAL(dir, segment, logger)
}

// checkComplete refuses a log and snapshots that hold less than what was applied, or have a gap between them.
func checkComplete(c *Config, s *storage) error {
	if c.Dir == "" {
		return nil
	}
	snapshot, err := newestIntact(s.snapshots)
	if err != nil {
		return fmt.Errorf("the Raft snapshots in %s are damaged: %w; %s", filepath.Join(c.Dir, "snapshots"), err, recovery)
	}
	first, err := s.logs.FirstIndex()
	if err != nil {
		return fmt.Errorf("reading the Raft log in %s: %w", c.Dir, err)
	}
	last, err := s.logs.LastIndex()
	if err != nil {
		return fmt.Errorf("reading the Raft log in %s: %w", c.Dir, err)
	}
	if first > snapshot+1 {
		return fmt.Errorf("the Raft log in %s begins at index %d, but the newest whole snapshot in %s ends at %d; %s",
			filepath.Join(c.Dir, "wal"), first, filepath.Join(c.Dir, "snapshots"), snapshot, recovery)
	}
	mark, err := s.stable.GetUint64([]byte(markKey))
	if err != nil {
		return fmt.Errorf("reading the Raft state in %s: %w", c.Dir, err)
	}
	if held := max(last, snapshot); held < mark {
		return fmt.Errorf("the Raft log in %s is damaged: it ends at index %d, but %d was applied before; %s",
			filepath.Join(c.Dir, "wal"), held, mark, recovery)
	}
	return nil
}

// newestIntact is the index of the snapshot that Raft will restore, 0 when there is none. That none of several is
// whole is an error.
func newestIntact(snapshots raft.SnapshotStore) (uint64, error) {
	list, err := snapshots.List()
	if err != nil {
		return 0, err
	}
	var failed error
	for _, s := range list {
		_, content, err := snapshots.Open(s.ID) // compares the checksum of the whole file
		if err == nil {
			return s.Index, content.Close()
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", s.ID, err))
	}
	return 0, failed
}

// marker moves the mark behind what is applied. Its goroutine ends with stop.
type marker struct {
	stable   raft.StableStore
	applied  func() uint64
	logger   hclog.Logger
	stopping chan struct{}
	stopped  chan struct{}
	mark     uint64
}

func newMarker(stable raft.StableStore, applied func() uint64, logger hclog.Logger) *marker {
	m := &marker{stable: stable, applied: applied, logger: logger, stopping: make(chan struct{}), stopped: make(chan struct{})}
	m.mark, _ = stable.GetUint64([]byte(markKey)) // checkComplete has read it without an error
	go m.run()
	return m
}

func (m *marker) run() {
	defer close(m.stopped)
	ticker := time.NewTicker(markInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.move()
		case <-m.stopping:
			m.move()
			return
		}
	}
}

func (m *marker) move() {
	applied := m.applied()
	if applied <= m.mark {
		return
	}
	if err := m.stable.SetUint64([]byte(markKey), applied); err != nil {
		m.logger.Warn("cannot note how far the log was applied", "error", err)
		return
	}
	m.mark = applied
}

// stop moves the mark a last time. Nothing is applied any more, and the store is still open. A nil marker is that
// of a log in memory.
func (m *marker) stop() {
	if m == nil {
		return
	}
	close(m.stopping)
	<-m.stopped
}
