package controlplane

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Config is what a Server is made of.
type Config struct {
	Datacenter string
	// Raft is the consensus's part; Store and Applied are set here.
	Raft consensus.Config
	// Reads are the declared reads.
	Reads *read.Set
	// Connect turns the mesh's authority on; CAProvider, CAConfig (CamelCase keys) and LeafTTL are its file configuration.
	Connect    bool
	CAProvider string
	CAConfig   map[string]any
	// LeafTTL, when set, overrides the life of leaves. Only a configuration file can set it.
	LeafTTL time.Duration
	// DefaultWait and MaxWait bound blocking reads.
	DefaultWait, MaxWait time.Duration
	// HoldTimeout bounds the wait for a leader.
	HoldTimeout time.Duration
	// Members lists the gossip pool; MembersChanged is signalled when it changes.
	Members        func() []model.Member
	MembersChanged <-chan struct{}
	Logger         hclog.Logger
}

// Server is one server of a datacenter.
type Server struct {
	config Config
	store  *state.Store
	engine *view.Engine
	node   *consensus.Node
	signer signers
	logger hclog.Logger
}

// NewServer opens the server's storage and takes part in the consensus. Run must follow.
func NewServer(c Config) (*Server, error) {
	s := &Server{config: c, store: state.New(), logger: c.Logger}
	s.engine = view.NewEngine(s.store, c.Reads.All())
	c.Raft.Store = s.store
	c.Raft.Applied = func(topics []state.Topic) {
		if topics == nil {
			s.engine.NotifyAll()
		} else {
			s.engine.Notify(topics)
		}
	}
	var err error
	if s.node, err = consensus.Start(c.Raft); err != nil {
		return nil, err
	}
	return s, nil
}

// Run serves the views and, while this server leads, does the leader's work, until ctx ends or the log holds
// what this version does not understand. It then stops the consensus.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	engine := make(chan struct{})
	go func() { defer close(engine); s.engine.Run(ctx) }()
	err := s.lead(ctx)
	cancel()
	<-engine
	if stopErr := s.node.Stop(); err == nil {
		err = stopErr
	}
	return err
}

// Views is the source of local views: it may show what is not committed by a quorum's word.
func (s *Server) Views() view.Source { return s.engine }

// Consensus is the server's part in the consensus, for the operator's commands.
func (s *Server) Consensus() *consensus.Node { return s.node }

// Store is the server's state.
func (s *Server) Store() *state.Store { return s.store }

// here refuses requests for another datacenter.
func (s *Server) here(req model.Request) error {
	if req.Datacenter != "" && req.Datacenter != s.config.Datacenter {
		return fault.New(fault.NoPath, "No path to datacenter").
			WithHint("this cluster is datacenter %q and knows no %q", s.config.Datacenter, req.Datacenter)
	}
	return nil
}

// Read answers a read with the consistency that req asks for, waiting as its options say.
func (s *Server) Read(ctx context.Context, req model.Request, q view.Query) (*view.Result, model.ReadMeta, error) {
	meta := model.ReadMeta{Mode: req.Read.Mode}
	if err := s.here(req); err != nil {
		return nil, meta, err
	}
	if req.Read.Mode != model.ConsistencyStale {
		if err := s.awaitLeadership(ctx); err != nil {
			return nil, meta, err
		}
	}
	if req.Read.Mode == model.ConsistencyStrong {
		if err := s.node.Verify(); err != nil {
			return nil, meta, err
		}
	}
	r, err := s.engine.Fetch(ctx, q, req.Read.MinIndex, s.wait(req.Read.MaxWait))
	if err != nil {
		return nil, meta, err
	}
	return r, s.meta(r, req.Read.Mode), nil
}

// meta describes a result of this server's.
func (s *Server) meta(r *view.Result, mode model.Consistency) model.ReadMeta {
	_, leader := s.node.Leader()
	return model.ReadMeta{
		Index: r.Index(), LastContact: max(s.node.LastContact(s.now()), 0), KnownLeader: leader != "", Mode: mode,
	}
}

func (*Server) now() time.Time { return time.Now() }

// awaitCaughtUp returns once this server has heard of a leader, and its state is not that of before a restart.
func (s *Server) awaitCaughtUp(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if _, leader := s.node.Leader(); leader != "" && s.node.CaughtUp() {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait bounds the wait of a blocking read, with jitter of up to a sixteenth so that polls spread.
func (s *Server) wait(asked time.Duration) time.Duration {
	if asked <= 0 {
		asked = s.config.DefaultWait
	}
	asked = min(asked, s.config.MaxWait)
	return asked + mathrand.N(asked/16+1)
}

// awaitLeadership returns once this server leads and its state shows all acknowledged writes, or fails with
// fault.NotLeader when another does and with fault.NoLeader when nobody does within the hold timeout.
func (s *Server) awaitLeadership(ctx context.Context) error {
	if s.node.Settled() {
		return nil
	}
	deadline := time.NewTimer(s.config.HoldTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if s.node.Settled() {
			return nil
		}
		if _, address := s.node.Leader(); address != "" && address != s.config.Raft.Address {
			return fault.New(fault.NotLeader, "%s", address)
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			return fault.New(fault.NoLeader, "No cluster leader").
				WithHint("no server has been elected within %s; see the servers' logs, and `lictor info` on each", s.config.HoldTimeout)
		case <-ctx.Done():
			return fault.New(fault.Canceled, "the caller went away: %w", ctx.Err())
		}
	}
}

// Apply validates a command, commits it, and returns its outcome once it is applied here. It does not forward:
// a fault.NotLeader names the leader's address.
func (s *Server) Apply(ctx context.Context, req model.Request, c command.Command) (command.Outcome, error) {
	if err := s.here(req); err != nil {
		return command.Outcome{}, err
	}
	if err := c.Validate(); err != nil {
		return command.Outcome{}, err
	}
	e, err := command.Wrap(c, requestID(), s.now())
	if err != nil {
		return command.Outcome{}, fault.New(fault.Internal, "encoding a command: %w", err)
	}
	return s.Propose(ctx, e)
}

// Propose commits a command that was validated where it came from.
func (s *Server) Propose(ctx context.Context, e command.Envelope) (command.Outcome, error) {
	if err := s.awaitLeadership(ctx); err != nil {
		return command.Outcome{}, err
	}
	return s.node.Propose(ctx, e)
}

func requestID() string { return rand.Text() }

// Sign certifies the key of a request for the service that its URI names.
func (s *Server) Sign(ctx context.Context, req model.Request, csr string, service model.ServiceName) (*model.LeafCert, error) {
	if err := s.here(req); err != nil {
		return nil, err
	}
	if err := s.awaitAuthority(ctx); err != nil {
		return nil, err
	}
	snap := s.store.Snapshot()
	config := snap.CAConfig()
	root := snap.ActiveCARoot()
	signer, err := s.signer.of(root, snap.CAKey(root.ID))
	if err != nil {
		return nil, err
	}
	parsed, err := certs.ParseConfig(config.Provider, config.Config)
	if err != nil {
		return nil, err
	}
	ttl, err := parsed.LeafTTL(s.config.LeafTTL)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, fault.New(fault.Internal, "drawing a serial number: %w", err)
	}
	id := model.ServiceSPIFFE(model.TrustDomainOf(config.ClusterID), s.config.Datacenter, service)
	leaf, err := signer.Sign(rand.Reader, csr, certs.LeafSpec{ID: id, TTL: ttl, Serial: serial.Uint64() + 1}, time.Now())
	if err != nil {
		return nil, err
	}
	leaf.RaftIndexes = model.RaftIndexes{CreateIndex: root.RaftIndexes.ModifyIndex, ModifyIndex: root.RaftIndexes.ModifyIndex}
	return leaf, nil
}

// awaitAuthority returns once there is an active root.
func (s *Server) awaitAuthority(ctx context.Context) error {
	if !s.config.Connect {
		return fault.New(fault.Disabled, "Connect must be enabled in order to use this endpoint").
			WithHint("set connect { enabled = true } on the servers")
	}
	q := s.config.Reads.CARoots.Query(view.None{})
	wait := s.config.HoldTimeout
	r, err := s.engine.Fetch(ctx, q, 0, 0)
	for err == nil && s.config.Reads.CARoots.Value(r).ActiveRootID == "" {
		before := r.Index()
		r, err = s.engine.Fetch(ctx, q, before, wait)
		if err == nil && r.Index() == before {
			return fault.New(fault.Unavailable, "the mesh's authority has no root yet: no server has led since it was set up")
		}
	}
	return err
}

// ServerAddress is the address under which peers reach this server.
func (s *Server) ServerAddress() raft.ServerAddress { return s.config.Raft.Address }

// String names the server in logs.
func (s *Server) String() string { return fmt.Sprintf("server %s", s.config.Raft.ID) }
