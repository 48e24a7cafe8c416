package gossip

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Pool is this host's membership in one pool. Its methods are safe for concurrent use.
type Pool struct {
	cfg    Config
	serf   *serf.Serf
	log    hclog.Logger
	port   int
	events chan Event
	done   chan struct{}
}

// New starts a pool of one: listening, with no other member until Join. Shutdown ends it.
func New(cfg Config) (*Pool, error) {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	cfg.Logger = cfg.Logger.Named("gossip." + cfg.Kind.String())
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ring, err := loadKeyring(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.SnapshotPath != "" {
		if err := os.MkdirAll(filepath.Dir(cfg.SnapshotPath), 0o700); err != nil {
			return nil, fault.New(fault.Unavailable, "gossip snapshot %s: %v", cfg.SnapshotPath, err)
		}
	}
	port := cfg.BindPort
	transport := cfg.Transport
	if transport == nil {
		t, err := listen(&cfg)
		if err != nil {
			return nil, err
		}
		transport, port = t, t.port()
	}
	in := make(chan serf.Event, 512)
	s, err := serf.Create(serfConfig(&cfg, transport, port, ring, in))
	if err != nil {
		_ = transport.Shutdown()
		return nil, fault.New(fault.Unavailable, "%s gossip cannot start: %v", cfg.Kind, err)
	}
	p := &Pool{cfg: cfg, serf: s, log: cfg.Logger, port: port, events: make(chan Event), done: make(chan struct{})}
	go p.pump(in)
	return p, nil
}

func serfConfig(cfg *Config, transport memberlist.Transport, port int, ring *memberlist.Keyring, events chan<- serf.Event) *serf.Config {
	logger := log.New(newComplaints(cfg.Logger.StandardWriter(&hclog.StandardLoggerOptions{InferLevels: true}), time.Now), "", 0)
	ml := memberlist.DefaultLANConfig()
	if cfg.Kind == WAN {
		ml = memberlist.DefaultWANConfig()
	}
	ml.Transport = transport
	ml.BindAddr, ml.BindPort = cfg.BindAddr, port
	ml.AdvertiseAddr, ml.AdvertisePort = cfg.AdvertiseAddr, cfg.AdvertisePort
	if ml.AdvertisePort == 0 {
		ml.AdvertisePort = port
	}
	ml.GossipInterval, ml.GossipNodes = cfg.Timers.GossipInterval, cfg.Timers.GossipNodes
	ml.ProbeInterval, ml.ProbeTimeout = cfg.Timers.ProbeInterval, cfg.Timers.ProbeTimeout
	ml.RetransmitMult, ml.SuspicionMult = cfg.Timers.RetransmitMult, cfg.Timers.SuspicionMult
	ml.PushPullInterval = cfg.Timers.PushPull
	ml.CIDRsAllowed = cfg.AllowedCIDRs
	ml.Keyring = ring
	ml.GossipVerifyIncoming, ml.GossipVerifyOutgoing = !cfg.KeepUnencryptedIn, !cfg.KeepUnencryptedOut
	ml.MsgpackUseNewTimeFormat = true
	// A host that comes back with another address takes its name over at once instead of being a conflict.
	ml.DeadNodeReclaimTime = 30 * time.Second
	ml.Logger, ml.LogOutput = logger, nil

	sc := serf.DefaultConfig()
	sc.NodeName = cfg.memberName()
	sc.Tags = cfg.Tags
	sc.MemberlistConfig = ml
	sc.EventCh = events
	sc.Logger, sc.LogOutput = logger, nil
	sc.SnapshotPath, sc.RejoinAfterLeave = cfg.SnapshotPath, cfg.RejoinAfterLeave
	if ring != nil {
		sc.KeyringFile = cfg.KeyringPath
	}
	sc.LeavePropagateDelay = cfg.Timers.LeavePropagate
	sc.ReconnectTimeout, sc.TombstoneTimeout = cfg.Timers.ReconnectTimeout, cfg.Timers.ReconnectTimeout
	// serf would end the member of a name conflict that fewer members vouch for; a server must not be
	// ended by a stranger who takes its name.
	sc.EnableNameConflictResolution = false
	sc.Merge = &admission{kind: cfg.Kind, dc: cfg.Datacenter, self: cfg.memberName(), id: string(cfg.NodeID), log: cfg.Logger}
	sc.MsgpackUseNewTimeFormat = true
	return sc
}

// Port is the TCP and UDP port that is listened on.
func (p *Pool) Port() int { return p.port }

// Members returns everybody whom the pool knows, also who left or failed and is not forgotten yet.
func (p *Pool) Members() []model.Member {
	all := p.serf.Members()
	out := make([]model.Member, len(all))
	for i, m := range all {
		out[i] = memberOf(m)
	}
	return out
}

// LocalMember returns this host as the pool sees it.
func (p *Pool) LocalMember() model.Member { return memberOf(p.serf.LocalMember()) }

// MemberCount is how many members the pool knows, left and failed ones included.
func (p *Pool) MemberCount() int { return p.serf.NumNodes() }

func memberOf(m serf.Member) model.Member {
	return model.Member{
		Name: model.NodeName(m.Name), Addr: m.Addr.String(), Port: m.Port, Tags: m.Tags, Status: model.MemberStatus(m.Status),
		ProtocolMin: m.ProtocolMin, ProtocolMax: m.ProtocolMax, ProtocolCur: m.ProtocolCur,
		DelegateMin: m.DelegateMin, DelegateMax: m.DelegateMax, DelegateCur: m.DelegateCur,
	}
}

// Events returns the channel of what happens, closed by Shutdown. It has one reader; a slow one misses
// nothing but the steps in between (see backlog).
func (p *Pool) Events() <-chan Event { return p.events }

// UserEvent sends a small message to every member, this host included. With coalesce, members may drop all
// but the newest of one name.
func (p *Pool) UserEvent(name string, payload []byte, coalesce bool) error {
	if err := p.serf.UserEvent(name, payload, coalesce); err != nil {
		return fault.New(fault.Invalid, "%v", err)
	}
	return nil
}

// SetTags replaces what this member says of itself.
func (p *Pool) SetTags(tags map[string]string) error {
	if err := p.serf.SetTags(tags); err != nil {
		return fault.New(fault.Invalid, "%s gossip tags: %v", p.cfg.Kind, err)
	}
	return nil
}

// Leave says goodbye to the pool and waits until others can have heard it, or ctx ends; Shutdown is to
// follow. The goodbye goes on in the background when ctx ends first.
func (p *Pool) Leave(ctx context.Context) error {
	left := make(chan error, 1)
	go func() { left <- p.serf.Leave() }() // ends by itself: serf bounds it by its broadcast timeout
	select {
	case err := <-left:
		if err != nil {
			return fault.New(fault.Unavailable, "leaving the %s pool: %v", p.cfg.Kind, err)
		}
		return nil
	case <-ctx.Done():
		return fault.New(fault.Canceled, "leaving the %s pool took too long: %w", p.cfg.Kind, ctx.Err())
	}
}

// ForceLeave marks a failed member as left, so that it is not waited for any more; with prune it is
// forgotten altogether.
func (p *Pool) ForceLeave(name model.NodeName, prune bool) error {
	known := false
	for _, m := range p.serf.Members() {
		known = known || strings.EqualFold(m.Name, string(name))
	}
	if !known {
		return fault.New(fault.NotFound, "agent: No node found with name '%s'", name)
	}
	leave := p.serf.RemoveFailedNode
	if prune {
		leave = p.serf.RemoveFailedNodePrune
	}
	if err := leave(string(name)); err != nil {
		return fault.New(fault.Unavailable, "force-leave of %s: %v", name, err)
	}
	return nil
}

// Shutdown ends the pool without a goodbye and closes Events. It may be called more than once.
func (p *Pool) Shutdown() error {
	err := p.serf.Shutdown()
	<-p.done
	if err != nil {
		return fault.New(fault.Unavailable, "ending the %s pool: %v", p.cfg.Kind, err)
	}
	return nil
}

// Coordinate is this host's place in the pool; false while it has none.
func (p *Pool) Coordinate() (*model.Coordinate, bool) {
	c, err := p.serf.GetCoordinate()
	if err != nil {
		return nil, false
	}
	return coordinateOf(c), true
}

// CoordinateOf is a member's place as last heard.
func (p *Pool) CoordinateOf(name model.NodeName) (*model.Coordinate, bool) {
	c, ok := p.serf.GetCachedCoordinate(string(name))
	if !ok {
		return nil, false
	}
	return coordinateOf(c), true
}

// RTT estimates a round trip to a member.
func (p *Pool) RTT(name model.NodeName) (time.Duration, bool) {
	own, ok := p.Coordinate()
	if !ok {
		return 0, false
	}
	other, ok := p.CoordinateOf(name)
	if !ok {
		return 0, false
	}
	return own.RoundTrip(other)
}

func coordinateOf(c *coordinate.Coordinate) *model.Coordinate {
	return &model.Coordinate{Vec: append([]float64(nil), c.Vec...), Error: c.Error, Adjustment: c.Adjustment, Height: c.Height}
}

// Stats are the pool's figures as agent/self and info show them; all values are numbers or true and false.
func (p *Pool) Stats() map[string]string { return p.serf.Stats() }

// Encrypted tells whether the pool has keys.
func (p *Pool) Encrypted() bool { return p.serf.EncryptionEnabled() }
