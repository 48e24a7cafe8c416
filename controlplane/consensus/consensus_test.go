package consensus_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func start(t testing.TB, dir string) (*consensus.Node, *state.Store) {
	t.Helper()
	store := state.New()
	_, transport := raft.NewInmemTransport("a")
	n, err := consensus.Start(consensus.Config{
		Dir: dir, ID: "a", Address: "a", Transport: transport, Bootstrap: true, Store: store,
		SegmentSize: 1 << 20, Applied: func([]state.Topic) {}, Logger: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(5 * time.Second)
	for !n.IsLeader() {
		select {
		case <-n.LeaderCh():
		case <-deadline:
			t.Fatal("no leader")
		}
	}
	return n, store
}

func register(t testing.TB, n *consensus.Node, node string) error {
	e, err := command.Wrap(&command.Register{Registration: model.Registration{
		Node: model.Node{Node: model.NodeName(node), Address: "10.0.0.1"}}}, node, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Propose(t.Context(), e)
	return err
}

func TestAcknowledgedWritesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	n, store := start(t, dir)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := register(t, n, fmt.Sprintf("n-%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(store.Snapshot().Nodes()); got != 400 {
		t.Fatalf("%d nodes", got)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := register(t, n, "late"); fault.KindOf(err) != fault.NotLeader {
		t.Errorf("a write to a stopped server: %v", err)
	}
	n, store = start(t, dir)
	defer func() { _ = n.Stop() }()
	if err := n.Barrier(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := len(store.Snapshot().Nodes()); got != 400 {
		t.Fatalf("%d nodes after the restart", got)
	}
}

func TestDamagedLogIsNamed(t *testing.T) {
	dir := t.TempDir()
	n, _ := start(t, dir)
	if err := register(t, n, "n"); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	meta, err := filepath.Glob(filepath.Join(dir, "wal", "*.db"))
	if err != nil || len(meta) == 0 {
		t.Fatal(meta, err)
	}
	if err := os.WriteFile(meta[0], []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("a")
	_, err = consensus.Start(consensus.Config{Dir: dir, ID: "a", Address: "a", Transport: transport, Bootstrap: true,
		Store: state.New(), Applied: func([]state.Topic) {}, Logger: hclog.NewNullLogger()})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "wal")) {
		t.Errorf("error = %v", err)
	}
}

func TestChangedByteInTheLogIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	n, _ := start(t, dir)
	for i := range 20 {
		if err := register(t, n, fmt.Sprintf("node-%02d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	content, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(content, []byte("node-07"), []byte("node-66"), -1)
	if bytes.Equal(changed, content) {
		t.Fatal("the log does not hold the name")
	}
	if err := os.WriteFile(segments[0], changed, 0o600); err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("a")
	store := state.New()
	n, err = consensus.Start(consensus.Config{Dir: dir, ID: "a", Address: "a", Transport: transport, Bootstrap: true,
		SegmentSize: 1 << 20, Store: store, Applied: func([]state.Topic) {}, Logger: hclog.NewNullLogger()})
	if err == nil {
		defer func() { _ = n.Stop() }()
		select {
		case <-n.Failed():
			err = n.Err()
		case <-time.After(10 * time.Second):
		}
	}
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error = %v", err)
	}
	if store.Snapshot().Node("node-66") != nil {
		t.Error("the changed name was believed")
	}
}

func TestLoneServerWithALostIdentityIsNamed(t *testing.T) {
	dir := t.TempDir()
	n, _ := start(t, dir)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("a")
	_, err := consensus.Start(consensus.Config{Dir: dir, ID: "b", Address: "a", Transport: transport, Bootstrap: true,
		SegmentSize: 1 << 20, Store: state.New(), Applied: func([]state.Topic) {}, Logger: hclog.NewNullLogger()})
	if err == nil || !strings.Contains(err.Error(), "write a into the file node-id") {
		t.Errorf("error = %v", err)
	}
}

func TestCallerWhoGoesAwayIsToldTheTruth(t *testing.T) {
	n, _ := start(t, "")
	defer func() { _ = n.Stop() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e, err := command.Wrap(&command.Deregister{Deregistration: model.Deregistration{Node: "n"}}, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := n.Propose(ctx, e); err != nil && !fault.Is(err, fault.OutcomeUnknown) && !fault.Is(err, fault.RateLimited) {
			t.Fatalf("kind %v: %v", fault.KindOf(err), err)
		}
	}
}

func BenchmarkPropose(b *testing.B) {
	n, _ := start(b, b.TempDir())
	defer func() { _ = n.Stop() }()
	b.SetParallelism(32)
	var id sync.Mutex
	next := 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id.Lock()
			next++
			name := fmt.Sprint("n", next%1000)
			id.Unlock()
			e, _ := command.Wrap(&command.Register{Registration: model.Registration{
				Node: model.Node{Node: model.NodeName(name), Address: fmt.Sprint(next)}}}, "", time.Now())
			if _, err := n.Propose(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
