package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/agent/local"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/xds"
)

// Backend says where a read may be answered from.
type Backend uint8

// The backends.
const (
	// FromServer is a server's state, as the request's consistency mode demands.
	FromServer Backend = iota
	// FromView allows the agent's own materialised view, which follows the servers' state.
	FromView
)

// ControlPlane is what the API asks of the servers, wherever they are. Each method forwards to the leader or
// to req.Datacenter where that is needed, and fails with fault.NoPath for a datacenter that nobody knows and
// with fault.NoLeader without a leader.
type ControlPlane interface {
	// Read answers q. It waits as req.Read says: MaxWait 0 is the server's default, greater ones are capped,
	// and jitter is added there. The result is shared; nobody changes it.
	Read(ctx context.Context, req model.Request, q view.Query, from Backend) (*view.Result, model.ReadMeta, error)
	// Apply writes. What the state refused is an error too, of the kind the state gave it.
	Apply(ctx context.Context, req model.Request, c command.Command) (command.Outcome, error)
	// ConfigureCA changes the configuration of the mesh's authority, which may rotate its root.
	ConfigureCA(ctx context.Context, req model.Request, provider string, config map[string]any, force bool) error
	// Leader returns the leader's RPC address, "" when there is none.
	Leader(ctx context.Context, req model.Request) (string, error)
	// Peers returns the RPC addresses of the Raft voters.
	Peers(ctx context.Context, req model.Request) ([]string, error)
	// Datacenters returns all known datacenters, the nearest first.
	Datacenters(ctx context.Context, req model.Request) ([]string, error)
}

// Agent is the process that serves the API.
type Agent interface {
	// Self describes the agent.
	Self() Self
	// Members lists the members of the LAN pool, or of the WAN pool.
	Members(wan bool) []model.Member
	// Reload reads the configuration again. With an error nothing was changed.
	Reload(ctx context.Context, req model.Request) (Reloaded, error)
	// Leave starts a graceful leave. It returns once the leave is under way; the process ends after the answer.
	Leave(ctx context.Context, req model.Request) error
}

// Reloaded is what a reload came to, each entry a configuration key or a line about one.
type Reloaded struct {
	Applied, NeedsRestart, Rejected []string
}

// Local is what this host registered (local.State). Definitions are validated before they come here.
type Local interface {
	Services() map[model.ServiceID]*model.Service
	Checks() map[model.CheckID]*model.Check
	Watch(id model.ServiceID) (*model.Service, <-chan struct{})
	Health(id model.ServiceID) *local.ServiceHealth
	HealthByName(name model.ServiceName) ([]*local.ServiceHealth, model.Status)

	AddService(def *model.ServiceDefinition, how local.Registering) error
	RemoveService(id model.ServiceID) error
	AddCheck(def *model.CheckDefinition, how local.Registering) error
	RemoveCheck(id model.CheckID) error
	UpdateTTL(id model.CheckID, status model.Status, output string) error
	EnableServiceMaintenance(id model.ServiceID, reason string, token model.Secret) error
	DisableServiceMaintenance(id model.ServiceID) error
	EnableNodeMaintenance(reason string, token model.Secret) error
	DisableNodeMaintenance() error
}

// Mesh is the agent's side of the data plane.
type Mesh interface {
	// Leaf returns the certificate of a service and its index. With min > 0 it waits until the index is
	// greater, for wait at the most (0 is a default).
	Leaf(ctx context.Context, req model.Request, service model.ServiceName, min model.Index, wait time.Duration) (*model.LeafCert, model.Index, error)
	// Proxies describes the proxies that are or were connected over xDS, by id.
	Proxies() []xds.ProxyStatus
	// DrainProxy takes a proxy's instance out of the healthy set until release is called. Stages come when they
	// are reached ("draining", then "drained", or "waited" where it cannot be known of all); the channel is closed after the last. An unknown id is fault.NotFound.
	DrainProxy(ctx context.Context, id model.ServiceID) (stages <-chan string, release func(), err error)
}

// Self is what agent/self shows.
type Self struct {
	Datacenter, PrimaryDatacenter string
	Node                          model.NodeName
	NodeID                        model.NodeID
	Server                        bool
	// Debug is the configuration by option, without secrets.
	Debug map[string]any
	// Coordinate is the node's network coordinate, nil when there is none.
	Coordinate *Coordinate
	Member     model.Member
	// Stats are facts by section: agent, build, consul, raft, runtime, serf_lan.
	Stats map[string]map[string]string
	Meta  map[string]string
	// GRPCPort and GRPCTLSPort are the ports of xDS, -1 or 0 when off.
	GRPCPort, GRPCTLSPort int
	// Lictor stands beside what clients of the compatible API parse: our own version and its like.
	Lictor map[string]any
}

// Coordinate is a network coordinate (Vivaldi).
type Coordinate struct {
	Vec                       []float64
	Error, Adjustment, Height float64
}

// Config is what the API is built from. All of it is needed but what says otherwise.
type Config struct {
	ControlPlane ControlPlane
	Agent        Agent
	Local        Local
	Mesh         Mesh
	Reads        *read.Set
	Log          hclog.Logger
	// Metrics is where the API registers its own metrics and Gatherer what agent/metrics shows.
	Metrics  prometheus.Registerer
	Gatherer prometheus.Gatherer
	// MetricsPrefix is telemetry.metrics_prefix; empty is "consul".
	MetricsPrefix string

	Node       model.NodeName
	Datacenter string
	// Indent makes JSON readable for humans, as -dev agents do.
	Indent bool
	// DefaultAllow is acl.default_policy; DefaultAllowIntention is what holds where no intention decides.
	DefaultAllow, DefaultAllowIntention bool
	// DefaultToken returns the agent's token for requests without one; nil is none.
	DefaultToken func() model.Secret
	// ConnectDisabled, Streaming off, PrometheusOff, and CacheDisabled mirror connect.enabled, use_streaming_backend,
	// telemetry.prometheus_retention_time and http_config.use_cache.
	ConnectDisabled, StreamingDisabled, PrometheusOff, CacheDisabled bool
	// TranslateWAN is translate_wan_addrs.
	TranslateWAN bool
	// UIPath is where the web UI is served; empty when it is off.
	UIPath string
	// ResponseHeaders are added to every answer (http_config.response_headers).
	ResponseHeaders map[string]string
	// BlockEndpoints are path prefixes that are refused (http_config.block_endpoints).
	BlockEndpoints []string
	// AllowWriteFrom, unless empty, are the only networks that may write (http_config.allow_write_http_from).
	AllowWriteFrom []netip.Prefix
	// AllowUnprintable is disable_http_unprintable_char_filter.
	AllowUnprintable bool
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// API serves the HTTP API. It is safe for concurrent use.
type API struct {
	Config
	routes    *routeTable
	selectors *selectors
	headers   fixedHeaders
	zips      zipPool
	seen      seenQueries
	metrics   requestMetrics
}

var _ http.Handler = (*API)(nil)

// New builds the API.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MetricsPrefix == "" {
		c.MetricsPrefix = "consul"
	}
	a := &API{Config: c, selectors: newSelectors()}
	a.routes = newRouteTable(append(routes(), notYet()...))
	a.headers = newFixedHeaders(&c)
	a.zips.init()
	a.metrics = newRequestMetrics(&c, a.routes)
	return a
}
