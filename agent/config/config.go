package config

import (
	"net/netip"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// Config is what an agent runs by. Load makes it; nobody changes it afterwards. Addresses are resolved:
// templates are expanded, defaults that depend on other options are in place.
type Config struct {
	// DevMode is the flag -dev: everything in memory, answers indented.
	DevMode           bool
	NodeName          model.NodeName
	NodeID            model.NodeID
	DisableHostNodeID bool
	NodeMeta          map[string]string
	DataDir           string
	Datacenter        string
	PrimaryDatacenter string
	Server            bool
	Bootstrap         bool
	BootstrapExpect   int
	PidFile           string
	Locality          model.Locality
	// LeaveOnTerminate and SkipLeaveOnInterrupt have their defaults by whether the agent is a server.
	LeaveOnTerminate     bool
	SkipLeaveOnInterrupt bool

	// BindAddr may be unspecified (0.0.0.0 or ::); the advertised addresses never are.
	BindAddr         netip.Addr
	AdvertiseAddr    netip.Addr
	AdvertiseAddrWAN netip.Addr
	// RPCBind, SerfBindLAN and SerfBindWAN are where a server's RPC and the gossip pools listen. SerfBindWAN is
	// invalid when the WAN pool is off.
	RPCBind, SerfBindLAN, SerfBindWAN netip.AddrPort
	ClientAddrs                       []string
	// A listener that is off has no addresses.
	HTTPAddrs, HTTPSAddrs, GRPCAddrs, GRPCTLSAddrs, DNSAddrs []Listen
	Ports                                                    Ports
	TaggedAddresses                                          map[string]string
	TranslateWANAddrs                                        bool

	RetryJoin            []string
	RetryInterval        time.Duration
	RetryMax             int
	RetryJoinWAN         []string
	RetryIntervalWAN     time.Duration
	RetryMaxWAN          int
	RejoinAfterLeave     bool
	ReconnectTimeout     time.Duration
	EncryptKey           model.Secret
	DisableKeyringFile   bool
	GossipLAN, GossipWAN Gossip

	ACL                    ACL
	DefaultIntentionPolicy string
	DNS                    DNS
	HTTP                   HTTP
	DefaultQueryTime       time.Duration
	MaxQueryTime           time.Duration
	Limits                 Limits
	Performance            Performance
	Raft                   Raft

	CheckUpdateInterval        time.Duration
	CheckOutputMaxSize         int
	DiscardCheckOutput         bool
	CheckReapInterval          time.Duration
	CheckDeregisterIntervalMin time.Duration
	EnableScriptChecks         bool
	EnableLocalScriptChecks    bool
	AEInterval                 time.Duration
	SessionTTLMin              time.Duration
	Services                   []model.ServiceDefinition
	Checks                     []model.CheckDefinition

	Log         Log
	Telemetry   Telemetry
	Connect     Connect
	UI          UI
	EnableDebug bool
	Lictor      Lictor

	// NoEffect names the options that were set and have no effect yet, or none in this edition.
	NoEffect []string

	raw  raw
	kept map[string]any
}

// Listen is an address to listen on.
type Listen struct {
	// Network is tcp or unix.
	Network string
	// Address is host:port, or a socket's path.
	Address string
}

// String is the address with its network, as the shown configuration has it.
func (l Listen) String() string { return l.Network + "://" + l.Address }

// Ports are the agent's ports. 0 or less turns a listener off.
type Ports struct {
	DNS, HTTP, HTTPS, GRPC, GRPCTLS, Server, SerfLAN, SerfWAN int
	SidecarMin, SidecarMax, ExposeMin, ExposeMax              int
}

// Gossip tunes one pool.
type Gossip struct {
	GossipInterval, ProbeInterval, ProbeTimeout time.Duration
	GossipNodes, RetransmitMult, SuspicionMult  int
}

// ACL says who may do what.
type ACL struct {
	Enabled                       bool
	DefaultPolicy, DownPolicy     string
	TokenTTL, PolicyTTL, RoleTTL  time.Duration
	EnableTokenPersistence        bool
	EnableKeyListPolicy           bool
	EnableTokenReplication        bool
	InitialManagement             model.Secret
	Agent, Default, AgentRecovery model.Secret
	Replication, DNS              model.Secret
	ConfigFileRegistration        model.Secret
}

// DNS tunes the DNS server.
type DNS struct {
	Domain, AltDomain  string
	Recursors          []string
	RecursorTimeout    time.Duration
	RecursorStrategy   string
	AllowStale         bool
	MaxStale           time.Duration
	NodeTTL            time.Duration
	ServiceTTL         map[string]time.Duration
	OnlyPassing        bool
	ARecordLimit       int
	UDPAnswerLimit     int
	EnableTruncate     bool
	DisableCompression bool
	NodeMetaTXT        bool
	SOA                SOA
	UseCache           bool
	CacheMaxAge        time.Duration
}

// SOA holds the times of the zone's SOA record, in seconds.
type SOA struct{ Refresh, Retry, Expire, MinTTL int }

// HTTP hardens the HTTP API.
type HTTP struct {
	BlockEndpoints  []string
	AllowWriteFrom  []netip.Prefix
	ResponseHeaders map[string]string
	UseCache        bool
	MaxHeaderBytes  int
}

// Limits bound what clients may ask for.
type Limits struct {
	HTTPMaxConnsPerClient int
	HTTPSHandshakeTimeout time.Duration
	RPCHandshakeTimeout   time.Duration
	RPCClientTimeout      time.Duration
	RPCMaxConnsPerClient  int
	// RPCRate is requests per second; negative is unlimited.
	RPCRate        float64
	RPCMaxBurst    int
	KVMaxValueSize int64
	TxnMaxReqLen   int64
	RequestMode    string
	ReadRate       float64
	WriteRate      float64
}

// Performance tunes timing.
type Performance struct {
	RaftMultiplier         int
	LeaveDrainTime         time.Duration
	RPCHoldTimeout         time.Duration
	GRPCKeepaliveInterval  time.Duration
	GRPCKeepaliveTimeout   time.Duration
	EnableXDSLoadBalancing bool
}

// Raft tunes the log and its snapshots.
type Raft struct {
	SnapshotThreshold int
	SnapshotInterval  time.Duration
	TrailingLogs      int
	PrevoteDisabled   bool
}

// Log says what is logged where.
type Log struct {
	// Level is TRACE, DEBUG, INFO, WARN or ERROR.
	Level          string
	JSON           bool
	File           string
	RotateBytes    int64
	RotateDuration time.Duration
	RotateMaxFiles int
}

// Telemetry says how metrics are named and kept.
type Telemetry struct {
	MetricsPrefix           string
	PrometheusRetentionTime time.Duration
	DisableHostname         bool
}

// Connect configures the mesh and its certificate authority.
type Connect struct {
	Enabled    bool
	CAProvider string
	// CAConfig has the keys of the HTTP API (LeafCertTTL).
	CAConfig map[string]any
}

// UI configures the web UI.
type UI struct {
	Enabled     bool
	ContentPath string
}

// Lictor holds what Consul does not have.
type Lictor struct {
	// LeafCertTTLOverride makes leaf certificates live shorter than any API lets them, for demonstrations; 0 is off.
	LeafCertTTLOverride time.Duration
	// DrainWait is how long a proxy that leaves waits for its callers to have heard of it.
	DrainWait time.Duration
	// AllowUnenforced starts the agent in spite of Unenforced.
	AllowUnenforced bool
	// CheckAllowAddresses are networks that checks may reach although they are link-local or serve metadata.
	CheckAllowAddresses []string
}

// raw holds what is written before it is resolved.
type raw struct {
	bind, client, advertise, advertiseWAN                      string
	advertiseIPv4, advertiseIPv6, advertiseWAN4, advertiseWAN6 string
	serfLAN, serfWAN                                           string
	dns, http, https, grpc, grpcTLS                            string
	leaveOnTerminate, skipLeaveOnInterrupt                     *bool
	grpcTLSPort                                                *int
	taggedAddresses                                            map[string]string
	allowWriteFrom                                             []string
	caConfig                                                   map[string]any
	raftProtocol                                               int
	aclRoleTTL                                                 *time.Duration
	autoEncryptTLS, autoEncryptAllow                           bool
}
