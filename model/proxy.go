package model

import (
	"maps"
	"slices"
)

// Proxy is what a connect-proxy or a gateway is registered with (HTTP API reference, proxy object).
type Proxy struct {
	DestinationServiceName ServiceName       `msg:"dn,omitempty"`
	DestinationServiceID   ServiceID         `msg:"di,omitempty"`
	LocalServiceAddress    string            `msg:"la,omitempty"`
	LocalServicePort       int               `msg:"lp,omitempty"`
	LocalServiceSocketPath string            `msg:"ls,omitempty"`
	Mode                   string            `msg:"mo,omitempty"`
	TransparentProxy       *TransparentProxy `msg:"tp,omitempty"`
	// Config is opaque, weakly typed configuration: string, bool, int64, float64, []any, map[string]any.
	Config          map[string]any   `msg:"c,omitempty"`
	Upstreams       []Upstream       `msg:"u,omitempty"`
	MeshGateway     MeshGateway      `msg:"mg,omitempty"`
	Expose          Expose           `msg:"e"`
	AccessLogs      *AccessLogs      `msg:"al,omitempty"`
	EnvoyExtensions []EnvoyExtension `msg:"ee,omitempty"`
}

// TransparentProxy configures the outbound listener of traffic that was redirected to the proxy.
type TransparentProxy struct {
	OutboundListenerPort int  `msg:"p,omitempty"`
	DialedDirectly       bool `msg:"d,omitempty"`
}

// MeshGateway says through which gateways other datacenters are reached: "", none, local or remote.
type MeshGateway struct {
	Mode string `msg:"m,omitempty"`
}

// Expose lists HTTP paths that the proxy serves without mutual TLS.
type Expose struct {
	Checks bool         `msg:"c,omitempty"`
	Paths  []ExposePath `msg:"p,omitempty"`
}

// ExposePath is one path of Expose.
type ExposePath struct {
	ListenerPort  int    `msg:"lp,omitempty"`
	Path          string `msg:"p,omitempty"`
	LocalPathPort int    `msg:"pp,omitempty"`
	Protocol      string `msg:"pr,omitempty"`
}

// AccessLogs configures the access logs of a proxy.
type AccessLogs struct {
	Enabled             bool   `msg:"e,omitempty"`
	DisableListenerLogs bool   `msg:"d,omitempty"`
	Type                string `msg:"t,omitempty"`
	Path                string `msg:"p,omitempty"`
	JSONFormat          string `msg:"j,omitempty"`
	TextFormat          string `msg:"x,omitempty"`
}

// EnvoyExtension is a named patch of a proxy's Envoy resources.
type EnvoyExtension struct {
	Name          string         `msg:"n"`
	Required      bool           `msg:"r,omitempty"`
	Arguments     map[string]any `msg:"a,omitempty"`
	ConsulVersion string         `msg:"c,omitempty"`
	EnvoyVersion  string         `msg:"e,omitempty"`
}

// The destination types of an Upstream.
const (
	UpstreamService       = "service"
	UpstreamPreparedQuery = "prepared_query"
)

// Upstream is one destination that a proxy offers to its local application on a loopback listener.
type Upstream struct {
	DestinationType     string         `msg:"t,omitempty"`
	DestinationName     ServiceName    `msg:"n"`
	DestinationPeer     string         `msg:"pe,omitempty"`
	Datacenter          string         `msg:"dc,omitempty"`
	LocalBindAddress    string         `msg:"a,omitempty"`
	LocalBindPort       int            `msg:"p,omitempty"`
	LocalBindSocketPath string         `msg:"s,omitempty"`
	LocalBindSocketMode string         `msg:"sm,omitempty"`
	Config              map[string]any `msg:"c,omitempty"`
	MeshGateway         MeshGateway    `msg:"mg,omitempty"`
	IngressHosts        []string       `msg:"ih,omitempty"`
}

// Clone returns a copy that shares only the opaque values of Config. A nil proxy stays nil.
func (p *Proxy) Clone() *Proxy {
	if p == nil {
		return nil
	}
	c := *p
	c.Config = maps.Clone(p.Config)
	c.Upstreams = slices.Clone(p.Upstreams)
	c.Expose.Paths = slices.Clone(p.Expose.Paths)
	c.EnvoyExtensions = slices.Clone(p.EnvoyExtensions)
	return &c
}
