package gossip

import (
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Kind is which pool it is.
type Kind uint8

// The two pools.
const (
	// LAN is the pool of all agents of one datacenter.
	LAN Kind = iota
	// WAN is the pool of the servers of all datacenters; a member's name there is "<node>.<datacenter>".
	WAN
)

// String names the pool for logs.
func (k Kind) String() string {
	if k == WAN {
		return "wan"
	}
	return "lan"
}

// Timers are the protocol's figures, as gossip_lan and gossip_wan set them.
type Timers struct {
	GossipInterval time.Duration
	GossipNodes    int
	ProbeInterval  time.Duration
	ProbeTimeout   time.Duration
	RetransmitMult int
	SuspicionMult  int
	// PushPull is how often the whole state is exchanged with a random member.
	PushPull time.Duration
	// LeavePropagate is how long Leave waits so that others hear of it.
	LeavePropagate time.Duration
	// ReconnectTimeout is when a failed member is forgotten.
	ReconnectTimeout time.Duration
}

// LANTimers are the defaults of gossip_lan.
func LANTimers() Timers {
	return Timers{200 * time.Millisecond, 3, time.Second, 500 * time.Millisecond, 4, 4, 30 * time.Second, 3 * time.Second, 72 * time.Hour}
}

// WANTimers are the defaults of gossip_wan.
func WANTimers() Timers {
	return Timers{500 * time.Millisecond, 3, 5 * time.Second, 3 * time.Second, 4, 6, 60 * time.Second, 3 * time.Second, 72 * time.Hour}
}

// FastTimers are for -dev agents and tests on one machine.
func FastTimers() Timers {
	return Timers{20 * time.Millisecond, 3, 200 * time.Millisecond, 100 * time.Millisecond, 4, 2, 2 * time.Second, 50 * time.Millisecond, 72 * time.Hour}
}

// Config describes a pool.
type Config struct {
	Kind Kind
	// Node is this host's name; in the WAN pool its datacenter is appended.
	Node       model.NodeName
	NodeID     model.NodeID
	Datacenter string
	// BindAddr is the IP to listen on ("" or "0.0.0.0" is every IPv4 address, "::" every address), BindPort
	// its TCP and UDP port; 0 takes a free one.
	BindAddr string
	BindPort int
	// AdvertiseAddr and AdvertisePort are told to the others; the bound ones when empty and 0.
	AdvertiseAddr string
	AdvertisePort int
	// Tags are what this member says of itself; see ServerTags and ClientTags.
	Tags map[string]string
	// AllowedCIDRs are from where members are accepted; none is from everywhere.
	AllowedCIDRs []net.IPNet
	// Key encrypts the pool: base64 of 16, 24 or 32 bytes; none leaves it open, unless the keyring file has keys.
	Key model.Secret
	// KeyringPath is the file in which keys are kept, "" keeps them in memory.
	KeyringPath string
	// KeepUnencryptedIn and Out let a pool move to encryption step by step: what is not encrypted is still
	// accepted, or still sent (encrypt_verify_incoming and _outgoing set to false).
	KeepUnencryptedIn, KeepUnencryptedOut bool
	// SnapshotPath is the file from which members are found again after a restart, "" keeps none.
	SnapshotPath string
	// RejoinAfterLeave makes a restart use the snapshot even after a leave.
	RejoinAfterLeave bool
	Timers           Timers
	// Transport replaces the sockets, in tests.
	Transport memberlist.Transport
	Logger    hclog.Logger
}

// memberName is this host's name within the pool.
func (c *Config) memberName() string {
	if c.Kind == WAN {
		return string(c.Node) + "." + c.Datacenter
	}
	return string(c.Node)
}

// check refuses what would fail later or elsewhere.
func (c *Config) check() error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Invalid, c.Kind.String()+" gossip: "+format, args...)
	}
	switch {
	case c.Node == "":
		return invalid("no node name")
	case c.Datacenter == "":
		return invalid("no datacenter")
	case len(c.memberName()) > 128:
		return invalid("node name %q is longer than 128 bytes", c.memberName())
	case c.BindAddr != "" && net.ParseIP(c.BindAddr) == nil:
		return invalid("bind address %q is no IP address", c.BindAddr)
	case c.AdvertiseAddr != "" && net.ParseIP(c.AdvertiseAddr) == nil:
		return invalid("advertise address %q is no IP address", c.AdvertiseAddr)
	case net.ParseIP(c.AdvertiseAddr) != nil && net.ParseIP(c.AdvertiseAddr).IsUnspecified():
		return invalid("advertise address %s cannot be reached from elsewhere", c.AdvertiseAddr)
	case c.BindPort < 0 || c.BindPort > 65535 || c.AdvertisePort < 0 || c.AdvertisePort > 65535:
		return invalid("port %d or advertised port %d is out of range", c.BindPort, c.AdvertisePort)
	case c.Timers.ProbeInterval <= 0 || c.Timers.GossipInterval <= 0 || c.Timers.ProbeTimeout <= 0:
		return invalid("intervals and the probe timeout must be positive")
	case c.Timers.ProbeTimeout > c.Timers.ProbeInterval:
		return invalid("probe timeout %s is longer than the probe interval %s", c.Timers.ProbeTimeout, c.Timers.ProbeInterval)
	}
	return nil
}
