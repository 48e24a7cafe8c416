// Package resource is what a proxy is told to do, as plain structs: listeners, clusters, their endpoints, and
// secrets. It decodes Envoy's protobufs into them, and validates while it does.
//
// The decoder refuses what the proxy cannot enforce. Each message is checked against the list of fields that are
// understood, or are known to be harmless on a connection that is carried as TCP: an unknown field is an error that
// names it, never something that is silently left out.
//
// Values are immutable once they are in a State: a source makes new ones, and whoever compares two States may take
// equal pointers for equal resources.
package resource

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/rbac"
)

// State is all that a proxy was told. The keys are the resources' names; Endpoints has the names by which clusters
// ask for them (Cluster.EndpointsName).
type State struct {
	Listeners map[string]*Listener
	Clusters  map[string]*Cluster
	Endpoints map[string]*Endpoints
	Routes    map[string]*Route
	Secrets   map[string]*Secret
}

// Source tells a proxy what to do: an ADS server, or what a stand-alone proxy was configured with.
type Source interface {
	// Run hands each new state to sink until ctx ends. It never gives up for another reason: what it waits for, it
	// reports, and tries again.
	Run(ctx context.Context, sink Sink)
}

// Sink is what a Source feeds.
type Sink interface {
	// Apply makes state the current one. The sink does not keep the caller waiting for I/O.
	Apply(state *State)
	// Report says how the source is: an empty text that it is up to date, otherwise what it waits for, in one line.
	Report(waiting string)
}

// Listener is a socket on which the proxy accepts connections, and what it does with them.
type Listener struct {
	Name    string
	Address balance.Address
	// SocketMode is the file mode of a unix socket, 0 for the process's default.
	SocketMode uint32
	// TLS is nil on the listeners of upstreams; a listener with TLS is the service's public one.
	TLS *ServerTLS
	// Authorization is the chain of filters that a caller must pass.
	Authorization []rbac.Rules
	// Cluster is where connections go. When it is empty, the route called Route says it.
	Cluster string
	Route   string
	// IdleTimeout closes connections on which nothing moved for so long; 0 stands for the proxy's default, below 0 never.
	IdleTimeout time.Duration
	// MaxConnections bounds the open connections, 0 is the proxy's default.
	MaxConnections int
}

// Inbound tells that the listener is the service's own, and its callers have to show who they are.
func (l *Listener) Inbound() bool { return l.TLS != nil }

// Credentials name the certificates of a TLS context: secrets by name, or what the context has inline.
type Credentials struct {
	LeafName   string
	RootsName  string
	InlineLeaf *identity.Identity
	InlineRoot *identity.Roots
}

// ServerTLS is how a public listener speaks TLS 1.3. A client certificate is always demanded.
type ServerTLS struct {
	Credentials
	// ALPN is what peers are offered that do not speak the native protocol.
	ALPN []string
}

// ClientTLS is how the endpoints of a cluster are dialled.
type ClientTLS struct {
	Credentials
	// Expected are the SPIFFE ids of which the peer must show one. It is never empty.
	Expected   []identity.ID
	ServerName string
	ALPN       []string
}

// Cluster is a destination.
type Cluster struct {
	Name           string
	ConnectTimeout time.Duration
	// EndpointsName is the name of its Endpoints; when it is empty, Static has them.
	EndpointsName string
	Static        []balance.Member
	// TLS is nil for the local application alone.
	TLS *ClientTLS
	// MaxConnections bounds the open connections to all its endpoints, 0 is no bound.
	MaxConnections int
}

// Endpoints are the members of a cluster.
type Endpoints struct {
	Name    string
	Members []balance.Member
}

// Route is where the connections of an HTTP listener go that needs no HTTP to be carried.
type Route struct {
	Name    string
	Cluster string
}

// Secret is a certificate with its key, or a set of roots.
type Secret struct {
	Name  string
	Leaf  *identity.Identity
	Roots *identity.Roots
}

// EndpointsNames are the Endpoints that the state's clusters need, sorted.
func (s *State) EndpointsNames() []string {
	names := make(map[string]bool)
	for _, c := range s.Clusters {
		if c.EndpointsName != "" {
			names[c.EndpointsName] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// RouteNames are the Routes that the state's listeners need, sorted.
func (s *State) RouteNames() []string {
	names := make(map[string]bool)
	for _, l := range s.Listeners {
		if l.Cluster == "" && l.Route != "" {
			names[l.Route] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// SecretNames are the Secrets that the state's listeners and clusters need, sorted.
func (s *State) SecretNames() []string {
	names := make(map[string]bool)
	note := func(c Credentials) {
		names[c.LeafName] = true
		names[c.RootsName] = true
	}
	for _, l := range s.Listeners {
		if l.TLS != nil {
			note(l.TLS.Credentials)
		}
	}
	for _, c := range s.Clusters {
		if c.TLS != nil {
			note(c.TLS.Credentials)
		}
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// Clone returns a state with maps of its own and the same resources.
func (s *State) Clone() *State {
	return &State{maps.Clone(s.Listeners), maps.Clone(s.Clusters), maps.Clone(s.Endpoints), maps.Clone(s.Routes), maps.Clone(s.Secrets)}
}

// NewState returns an empty state.
func NewState() *State {
	return &State{make(map[string]*Listener), make(map[string]*Cluster), make(map[string]*Endpoints),
		make(map[string]*Route), make(map[string]*Secret)}
}
