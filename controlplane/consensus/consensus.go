// Package consensus runs the Raft log of a server: its storage, its timers, its bootstrap, and the proposer that
// joins the commands of many callers into few entries, so that they share one fsync.
//
// The engine is hashicorp/raft on a write-ahead log (raft-wal) and file snapshots; with a development agent all
// of it is in memory. What is proposed comes back through the state machine, package command, in the log's order.
package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The timers at multiplier 1, and those of a voter that has nobody to wait for.
const (
	electionTimeout = 350 * time.Millisecond
	leaseTimeout    = 250 * time.Millisecond
	commitTimeout   = 20 * time.Millisecond
	loneTimeout     = 50 * time.Millisecond
)

// Config is what a Node is made of.
type Config struct {
	// Dir holds the log and the snapshots; empty keeps them in memory.
	Dir string
	// ID is the server's id in the Raft configuration, Address where its peers reach it.
	ID      raft.ServerID
	Address raft.ServerAddress
	// Transport carries Raft's messages.
	Transport raft.Transport
	// Bootstrap makes a new cluster of this one server, unless the directory already holds one.
	Bootstrap bool
	// Multiplier stretches the timers, 1 to 10.
	Multiplier int
	// SnapshotThreshold, SnapshotInterval and TrailingLogs are those of raft.Config.
	SnapshotThreshold uint64
	SnapshotInterval  time.Duration
	TrailingLogs      uint64
	// SegmentSize is that of a file of the log in bytes; 0 is raft-wal's own.
	SegmentSize int
	// Store is what the log is applied to.
	Store *state.Store
	// Applied is told which topics each entry moved; nil stands for all of them.
	Applied func(topics []state.Topic)
	Logger  hclog.Logger
}

// Node is one server's part in the consensus.
type Node struct {
	raft     *raft.Raft
	machine  *machine
	proposer *proposer
	marker   *marker
	settled  atomic.Uint64 // the last term with a Barrier
	dir      string
	close    []func() error
	logger   hclog.Logger
}

// Start opens the storage and takes part. It fails with one line that names the directory when that is
// damaged or not ours.
func Start(c Config) (*Node, error) {
	n := &Node{machine: newMachine(&c), logger: c.Logger, dir: c.Dir}
	storage, err := n.open(&c)
	if err != nil {
		n.closeAll()
		return nil, err
	}
	if err := checkComplete(&c, storage); err != nil {
		n.closeAll()
		return nil, err
	}
	if err := n.bootstrap(&c, storage); err != nil {
		n.closeAll()
		return nil, err
	}
	n.raft, err = raft.NewRaft(raftConfig(&c), n.machine, storage.logs, storage.stable, storage.snapshots, c.Transport)
	if err != nil {
		n.closeAll()
		return nil, fmt.Errorf("starting Raft on %s: %w", place(c.Dir), err)
	}
	if err := n.checkIdentity(&c); err != nil {
		_ = n.raft.Shutdown().Error()
		n.closeAll()
		return nil, err
	}
	n.proposer = newProposer(n.raft)
	if c.Dir != "" {
		n.marker = newMarker(storage.stable, n.applied, c.Logger)
	}
	return n, nil
}

// checkIdentity refuses data of a lone server with another id: there would never be a leader, and nothing would
// say why.
func (n *Node) checkIdentity(c *Config) error {
	servers, err := n.Peers()
	if err != nil || len(servers) != 1 || servers[0].ID == c.ID {
		return err
	}
	return fmt.Errorf("the Raft data in %s belong to the server with the node id %s, and this one is %s: its node-id file was lost or "+
		"changed, or node_id was set; write %s into the file node-id beside them (or into node_id), and start again",
		place(c.Dir), servers[0].ID, c.ID, servers[0].ID)
}

func place(dir string) string {
	if dir == "" {
		return "memory"
	}
	return dir
}

type storage struct {
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
}

func (n *Node) open(c *Config) (*storage, error) {
	if c.Dir == "" {
		m := raft.NewInmemStore()
		return &storage{m, m, raft.NewInmemSnapshotStore()}, nil
	}
	dir := filepath.Join(c.Dir, "wal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the Raft directory: %w", err)
	}
	log, err := openIntact(dir, c.SegmentSize, c.Logger.Named("wal"))
	if err != nil {
		return nil, fmt.Errorf("the Raft log in %s does not open: %w; %s", dir, err, recovery)
	}
	n.close = append(n.close, log.Close)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(c.Dir, 2, c.Logger.Named("snapshot"))
	if err != nil {
		return nil, fmt.Errorf("the Raft snapshots in %s do not open: %w", c.Dir, err)
	}
	cache, err := raft.NewLogCache(512, log)
	if err != nil {
		return nil, err
	}
	return &storage{cache, log, snapshots}, nil
}

func openWAL(dir string, segment int, logger hclog.Logger) (*wal.WAL, error) {
	if segment > 0 {
		return wal.Open(dir, wal.WithLogger(logger), wal.WithSegmentSize(segment))
	}
	return wal.Open(dir, wal.WithLogger(logger))
}

func (n *Node) bootstrap(c *Config, s *storage) error {
	has, err := raft.HasExistingState(s.logs, s.stable, s.snapshots)
	if err != nil {
		return fmt.Errorf("reading the Raft state in %s: %w", place(c.Dir), err)
	}
	if has || !c.Bootstrap {
		return nil
	}
	servers := raft.Configuration{Servers: []raft.Server{{ID: c.ID, Address: c.Address}}}
	if err := raft.BootstrapCluster(raftConfig(c), s.logs, s.stable, s.snapshots, c.Transport, servers); err != nil {
		return fmt.Errorf("bootstrapping in %s: %w", place(c.Dir), err)
	}
	return nil
}

func raftConfig(c *Config) *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = c.ID
	r.Logger = c.Logger
	r.BatchApplyCh = true
	r.MaxAppendEntries = 256
	r.CommitTimeout = commitTimeout
	r.ShutdownOnRemove = false
	m := time.Duration(max(c.Multiplier, 1))
	r.HeartbeatTimeout, r.ElectionTimeout, r.LeaderLeaseTimeout = m*electionTimeout, m*electionTimeout, m*leaseTimeout
	if c.Bootstrap {
		// Alone there is nobody to wait for.
		r.HeartbeatTimeout, r.ElectionTimeout, r.LeaderLeaseTimeout = loneTimeout, loneTimeout, loneTimeout
	}
	if c.SnapshotThreshold > 0 {
		r.SnapshotThreshold = c.SnapshotThreshold
	}
	if c.SnapshotInterval > 0 {
		r.SnapshotInterval = c.SnapshotInterval
	}
	if c.TrailingLogs > 0 {
		r.TrailingLogs = c.TrailingLogs
	}
	return r
}

// Propose commits a command and waits until it was applied here. A fault.NotLeader tells that another server
// must be asked, and that nothing was proposed; fault.OutcomeUnknown that it cannot be told.
func (n *Node) Propose(ctx context.Context, e command.Envelope) (command.Outcome, error) {
	return n.proposer.propose(ctx, e)
}

// IsLeader tells whether this server is the leader, as far as it knows.
func (n *Node) IsLeader() bool { return n.raft.State() == raft.Leader }

// Leader returns the id and address of the leader; both are empty while there is none.
func (n *Node) Leader() (raft.ServerID, raft.ServerAddress) {
	address, id := n.raft.LeaderWithID()
	return id, address
}

// LeaderCh says when this server becomes the leader (true) and when it ceases to be.
func (n *Node) LeaderCh() <-chan bool { return n.raft.LeaderCh() }

// Barrier waits until all that was committed before is applied here.
func (n *Node) Barrier(timeout time.Duration) error {
	term := n.raft.CurrentTerm()
	if err := n.raft.Barrier(timeout).Error(); err != nil {
		return err
	}
	n.settled.Store(term)
	return nil
}

// Settled tells whether this server leads, and has applied all that was committed in the terms before its own: only
// then does its state show every acknowledged write. A leader is settled by the Barrier at the begin of its term.
func (n *Node) Settled() bool { return n.IsLeader() && n.settled.Load() == n.raft.CurrentTerm() }

// Verify asks a quorum whether this server is still the leader.
func (n *Node) Verify() error {
	if err := n.raft.VerifyLeader().Error(); err != nil {
		return notLeader(err)
	}
	return nil
}

// LastContact is how long ago the leader was heard of: 0 on the leader itself.
func (n *Node) LastContact(now time.Time) time.Duration {
	if n.IsLeader() {
		return 0
	}
	last := n.raft.LastContact()
	if last.IsZero() {
		return -1
	}
	return now.Sub(last)
}

// CaughtUp tells whether all that was committed when this server started, as far as it knows, is applied here.
func (n *Node) CaughtUp() bool {
	if n.IsLeader() {
		return n.Settled() // a new leader learns what was committed from its first entry
	}
	return n.raft.AppliedIndex() >= n.raft.CommitIndex()
}

// applied is the last index that the state holds.
func (n *Node) applied() uint64 {
	if n.machine.err() != nil {
		return 0 // Raft counts on, but nothing is applied
	}
	return n.raft.AppliedIndex()
}

// Peers returns the servers of the current configuration.
func (n *Node) Peers() ([]raft.Server, error) {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, err
	}
	return f.Configuration().Servers, nil
}

// Stats returns Raft's own figures for the info command.
func (n *Node) Stats() map[string]string { return n.raft.Stats() }

// Failed is closed when the log holds what this server does not understand, after which it must stop; Err
// then tells what.
func (n *Node) Failed() <-chan struct{} { return n.machine.broken.Done() }

// Err returns why Failed was closed.
func (n *Node) Err() error {
	err := n.machine.err()
	if err == nil {
		return nil
	}
	return fmt.Errorf("the Raft log in %s cannot be applied: %w; if a newer version wrote it, update this server; else it is damaged: %s",
		place(n.dir), err, recovery)
}

// Stop ends the node: proposals in flight are answered, the log is closed.
func (n *Node) Stop() error {
	n.proposer.stop()
	err := n.raft.Shutdown().Error()
	n.marker.stop()
	return errors.Join(err, n.closeAll())
}

func (n *Node) closeAll() error {
	var errs []error
	for _, c := range n.close {
		errs = append(errs, c())
	}
	n.close = nil
	return errors.Join(errs...)
}

// notLeader returns err as the fault it stands for.
func notLeader(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrRaftShutdown):
		return fault.New(fault.NotLeader, "this server is not the leader: %w", err)
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrAbortedByRestore):
		return fault.New(fault.OutcomeUnknown, "leadership was lost while the write was under way; it may or may not have been done: %w", err)
	default:
		return fault.New(fault.Unavailable, "raft: %w", err)
	}
}
