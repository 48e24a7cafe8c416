package consensus_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/controlplane/state"
)

// open tries to take part with what is in dir, with snapshots of small logs.
func open(dir string) (*consensus.Node, *state.Store, error) {
	store := state.New()
	_, transport := raft.NewInmemTransport("a")
	n, err := consensus.Start(consensus.Config{
		Dir: dir, ID: "a", Address: "a", Transport: transport, Bootstrap: true, Store: store, SegmentSize: 1 << 20,
		SnapshotThreshold: 20, SnapshotInterval: 10 * time.Millisecond, TrailingLogs: 1,
		Applied: func([]state.Topic) {}, Logger: hclog.NewNullLogger(),
	})
	return n, store, err
}

// await polls until done says so.
func await(done func() bool) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return nil
		}
	}
	return errors.New("not within 5 s")
}

// filled is a directory with a log and, when asked for, snapshots before it.
func filled(t *testing.T, snapshots bool) string {
	t.Helper()
	dir := t.TempDir()
	start := start
	if snapshots {
		start = func(t testing.TB, dir string) (*consensus.Node, *state.Store) {
			n, store, err := open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := await(n.IsLeader); err != nil {
				t.Fatal(err)
			}
			return n, store
		}
	}
	n, _ := start(t, dir)
	for i := range 60 {
		if err := register(t, n, fmt.Sprint("n", i)); err != nil {
			t.Fatal(err)
		}
	}
	if snapshots {
		if err := await(func() bool { return len(glob(t, dir, "snapshots/*/state.bin")) > 0 }); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	match, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return match
}

// TestDamageIsNeverTakenForAnEmptyLog damages one file at a time, and then restores it: it must be refused with the
// name of its folder, and all must be there again afterwards.
func TestDamageIsNeverTakenForAnEmptyLog(t *testing.T) {
	for _, c := range []struct {
		name, file string
		snapshots  bool
		damage     func(file string) error
	}{
		{"segment removed", "wal/*.wal", false, os.Remove},
		{"segment cut", "wal/*.wal", false, func(f string) error { return os.Truncate(f, 100) }},
		{"segment overwritten", "wal/*.wal", false, func(f string) error { return os.WriteFile(f, make([]byte, 1<<20), 0o600) }},
		{"index removed", "wal/wal-meta.db", false, os.Remove},
		{"index emptied", "wal/wal-meta.db", false, func(f string) error { return os.Truncate(f, 0) }},
		{"index cut to a page", "wal/wal-meta.db", false, func(f string) error { return os.Truncate(f, 4096) }},
		{"index cut to two pages", "wal/wal-meta.db", false, func(f string) error { return os.Truncate(f, 8192) }},
		{"snapshot cut", "snapshots/*/state.bin", true, func(f string) error { return os.Truncate(f, 10) }},
		{"snapshot without its description", "snapshots/*/meta.json", true, os.Remove},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t, c.snapshots)
			originals := map[string][]byte{}
			for _, file := range glob(t, dir, c.file) {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				originals[file] = content
				if err := c.damage(file); err != nil {
					t.Fatal(err)
				}
			}
			n, _, err := open(dir)
			if err == nil {
				_ = n.Stop()
				t.Fatal("the damage was not noticed")
			}
			if !strings.Contains(err.Error(), filepath.Join(dir, strings.Split(c.file, "/")[0])) {
				t.Errorf("the error does not name the folder: %v", err)
			}
			for file, content := range originals {
				_ = os.Remove(file) // the failed attempt of this process may still hold a lock on it
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			n, store, err := open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = n.Stop() }()
			if err := await(func() bool { return len(store.Snapshot().Nodes()) == 60 }); err != nil {
				t.Errorf("%d nodes after the repair", len(store.Snapshot().Nodes()))
			}
		})
	}
}
