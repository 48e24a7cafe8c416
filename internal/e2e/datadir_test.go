//go:build unix

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestDataDirOfAnotherAgentIsRefused(t *testing.T) {
	t.Parallel()
	first := startAgent(t, "")
	second := newAgent(t, "")
	second.dataDir = first.dataDir
	second.write(t)
	second.launch(t)
	if code := second.exit(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
	oneLine(t, second.stderr.String(), first.dataDir, "in use by another agent", strconv.Itoa(first.cmd.Process.Pid), "-data-dir")
	if err := first.leads(); err != nil {
		t.Errorf("the first agent: %v", err)
	}
	// The lock ends with its process, however that ended.
	first.kill()
	second.start(t)
}

func TestDataDirOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	other := another(t)
	a := startAgent(t, "")
	a.kill()
	parent := filepath.Dir(a.file)
	for _, dir := range []string{a.dataDir, filepath.Join(parent, "not-made")} {
		_, stderr, code := other.run(t, "agent", "-config-file", a.file, "-data-dir", dir)
		if code != 1 {
			t.Errorf("exit code %d", code)
		}
		oneLine(t, stderr, "data_dir", dir, "permission denied", "-data-dir")
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := spawn{}.run(t, "agent", "-config-file", a.file, "-data-dir", file)
	if code != 1 {
		t.Errorf("a file as data_dir: exit code %d", code)
	}
	oneLine(t, stderr, "data_dir", file)
	a.start(t)
}

// damage is what happened to a file of the data directory.
type damage struct {
	name string
	// file is a pattern below the data directory whose first match is damaged.
	file string
	do   func(content []byte) []byte // nil removes the file
	want string
}

func damages() []damage {
	garbage := func([]byte) []byte { return []byte("garbage\n") }
	empty := func([]byte) []byte { return nil }
	scramble := func(from, to int) func([]byte) []byte {
		return func(b []byte) []byte {
			b = bytes.Clone(b)
			for i := min(from, len(b)); i < min(to, len(b)); i++ {
				b[i] = 0xc1 // no frame of a log and no value of msgpack begins so
			}
			return b
		}
	}
	return []damage{
		{"garbage as node id", "node-id", garbage, "node-id"},
		{"an empty node id", "node-id", empty, "node-id"},
		{"garbage as a registration", "services/*", garbage, "services"},
		{"an empty registration", "services/*", empty, "services"},
		{"a registration with a flipped end", "services/*", scramble(100, 110), "services"},
		{"garbage as the log's index", "raft/wal/wal-meta.db", garbage, "wal"},
		{"an empty index of the log", "raft/wal/wal-meta.db", empty, "wal"},
		{"a removed index of the log", "raft/wal/wal-meta.db", nil, "wal"},
		{"a removed log", "raft/wal/*.wal", nil, "wal"},
		{"a truncated log", "raft/wal/*.wal", func(b []byte) []byte { return b[:100] }, "wal"},
		{"a log with a scrambled begin", "raft/wal/*.wal", scramble(0, 256), "wal"},
		{"a log with a scrambled middle", "raft/wal/*.wal", scramble(1024, 2048), "raft"},
	}
}

// TestDamagedSnapshotIsNamedAndRepairable is the same for what the log was compacted into.
func TestDamagedSnapshotIsNamedAndRepairable(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "raft_snapshot_threshold = 30\nraft_snapshot_interval = \"50ms\"\nraft_trailing_logs = 1\n")
	files := func() []string {
		match, err := filepath.Glob(filepath.Join(a.dataDir, "raft", "snapshots", "*", "state.bin"))
		if err != nil {
			t.Fatal(err)
		}
		return match
	}
	n := 0
	eventually(t, "a snapshot", func() error {
		n++
		_, err := a.Catalog().Register(&api.CatalogRegistration{Node: fmt.Sprint("node-", n), Address: "10.0.0.1"}, nil)
		if err != nil {
			return hopeless{err}
		}
		if len(files()) == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	before := a.inventory(t)
	a.signal(t, syscall.SIGTERM)
	a.exit(t)
	originals := map[string][]byte{}
	for _, file := range files() {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		originals[file] = content
		if err := os.Truncate(file, int64(len(content)/2)); err != nil {
			t.Fatal(err)
		}
	}
	a.refuses(t, "a truncated snapshot", a.dataDir, "snapshots", "damaged")
	for file, content := range originals {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.start(t)
	if after := a.inventory(t); !slices.Equal(after, before) {
		t.Errorf("before %q\nafter  %q", before, after)
	}
}

// TestDamagedDataDirIsNamedAndRepairable damages one file after the other. Each time the agent must not start, must
// name what is damaged, and must leave all else alone, so that with the file restored everything is back.
func TestDamagedDataDirIsNamedAndRepairable(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	for i := range 5 {
		a.register(t, &api.AgentServiceRegistration{Name: fmt.Sprint("service-", i), Port: 1000 + i})
	}
	if _, err := a.Connect().IntentionUpsert(&api.Intention{SourceName: "a", DestinationName: "b", Action: api.IntentionActionDeny}, nil); err != nil {
		t.Fatal(err)
	}
	before := a.inventory(t)
	a.signal(t, syscall.SIGTERM)
	a.exit(t)
	for _, d := range damages() {
		match, err := filepath.Glob(filepath.Join(a.dataDir, d.file))
		if err != nil || len(match) == 0 {
			t.Fatalf("%s: %v, %v", d.file, match, err)
		}
		original, err := os.ReadFile(match[0])
		if err != nil {
			t.Fatal(err)
		}
		a.breakFile(t, match[0], d, original)
		a.refuses(t, d.name, a.dataDir, d.want)
		if err := os.WriteFile(match[0], original, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.start(t)
	eventually(t, "all that was there", func() error {
		if after := a.inventory(t); !slices.Equal(after, before) {
			return fmt.Errorf("before %q\nafter  %q", before, after)
		}
		return nil
	})
}

// refuses starts the agent, and fails the test unless it ends with one line that has all the words.
func (a *agent) refuses(t *testing.T, name string, words ...string) {
	t.Helper()
	a.launch(t)
	select {
	case <-a.done:
	case <-time.After(3 * time.Second):
		t.Errorf("%s: the agent runs with it", name)
		a.kill()
		return
	}
	if code := a.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("%s: exit code %d", name, code)
	}
	a.noPanic(t)
	oneLine(t, a.stderr.String(), words...)
}

func (a *agent) breakFile(t *testing.T, file string, d damage, original []byte) {
	t.Helper()
	var err error
	if d.do == nil {
		err = os.Remove(file)
	} else {
		err = os.WriteFile(file, d.do(original), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// inventory is what the cluster holds: nodes with their ids, services, intentions and the roots.
func (a *agent) inventory(t testing.TB) (lines []string) {
	t.Helper()
	nodes, _, err := a.Catalog().Nodes(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		lines = append(lines, "node "+n.Node+" "+n.ID)
	}
	services, _, err := a.Catalog().Services(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name := range services {
		lines = append(lines, "service "+name)
	}
	mine, err := a.Agent().Services()
	if err != nil {
		t.Fatal(err)
	}
	for id := range mine {
		lines = append(lines, "registered "+id)
	}
	intentions, _, err := a.Connect().Intentions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range intentions {
		lines = append(lines, fmt.Sprint("intention ", i.SourceName, " ", i.DestinationName, " ", i.Action))
	}
	roots, _, err := a.Agent().ConnectCARoots(nil)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return append(lines, "root "+roots.ActiveRootID)
}
