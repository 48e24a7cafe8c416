package model

import (
	"maps"
	"slices"
)

// Locality is where a node or a service runs.
type Locality struct {
	Region string `msg:"r,omitempty"`
	Zone   string `msg:"z,omitempty"`
}

// Node is a host in the catalog.
type Node struct {
	ID              NodeID            `msg:"id,omitempty"`
	Node            NodeName          `msg:"n"`
	Address         string            `msg:"a"`
	Datacenter      string            `msg:"dc,omitempty"`
	TaggedAddresses map[string]string `msg:"ta,omitempty"`
	Meta            map[string]string `msg:"m,omitempty"`
	Locality        *Locality         `msg:"l,omitempty"`
	RaftIndexes     RaftIndexes       `msg:"ix,omitempty"`
}

// Clone returns a copy that shares nothing mutable with n.
func (n *Node) Clone() *Node {
	c := *n
	c.TaggedAddresses = maps.Clone(n.TaggedAddresses)
	c.Meta = maps.Clone(n.Meta)
	return &c
}

// ServiceKind tells a plain service from proxies and gateways.
type ServiceKind string

// The kinds of the HTTP API; the empty kind is a plain service.
const (
	KindService            ServiceKind = ""
	KindConnectProxy       ServiceKind = "connect-proxy"
	KindMeshGateway        ServiceKind = "mesh-gateway"
	KindTerminatingGateway ServiceKind = "terminating-gateway"
	KindIngressGateway     ServiceKind = "ingress-gateway"
	KindAPIGateway         ServiceKind = "api-gateway"
)

// ServiceAddress is one tagged address of a service.
type ServiceAddress struct {
	Address string `msg:"a"`
	Port    int    `msg:"p"`
}

// Weights are the shares that an instance gets in DNS SRV answers and Envoy's balancing, by health.
type Weights struct {
	Passing int `msg:"p"`
	Warning int `msg:"w"`
}

// NamedPort is one of several ports of a service.
type NamedPort struct {
	Name    string `msg:"n"`
	Port    int    `msg:"p"`
	Default bool   `msg:"d,omitempty"`
}

// Service is one instance of a service, plain, proxy or gateway.
type Service struct {
	// Node is where the instance is registered. It is empty in an agent's local registrations.
	Node              NodeName                  `msg:"n,omitempty"`
	Kind              ServiceKind               `msg:"k,omitempty"`
	ID                ServiceID                 `msg:"id"`
	Service           ServiceName               `msg:"s"`
	Tags              []string                  `msg:"t,omitempty"`
	Address           string                    `msg:"a,omitempty"`
	TaggedAddresses   map[string]ServiceAddress `msg:"ta,omitempty"`
	Port              int                       `msg:"p,omitempty"`
	Ports             []NamedPort               `msg:"ps,omitempty"`
	SocketPath        string                    `msg:"sp,omitempty"`
	Meta              map[string]string         `msg:"m,omitempty"`
	Weights           Weights                   `msg:"w"`
	EnableTagOverride bool                      `msg:"eto,omitempty"`
	// Proxy is set for proxies and gateways only.
	Proxy    *Proxy    `msg:"px,omitempty"`
	Connect  Connect   `msg:"c,omitempty"`
	Locality *Locality `msg:"l,omitempty"`
	// Owner is the agent that keeps the record equal to its own registrations; empty when it was registered
	// with the catalog directly. Only agents set it, it is never shown.
	Owner       NodeID      `msg:"ow,omitempty"`
	RaftIndexes RaftIndexes `msg:"ix,omitempty"`
}

// Connect says how a service takes part in the mesh by itself.
type Connect struct {
	// Native services speak the mesh's mutual TLS without a proxy.
	Native bool `msg:"n,omitempty"`
}

// Clone returns a copy that shares nothing mutable with s, but the opaque values of Proxy.Config.
func (s *Service) Clone() *Service {
	c := *s
	c.Tags = slices.Clone(s.Tags)
	c.TaggedAddresses = maps.Clone(s.TaggedAddresses)
	c.Ports = slices.Clone(s.Ports)
	c.Meta = maps.Clone(s.Meta)
	c.Proxy = s.Proxy.Clone()
	return &c
}

// MeshName is the name under which an instance offers its service to the mesh: a proxy's destination, a
// native service's own name, otherwise "" (the instance is not mesh-capable).
func (s *Service) MeshName() ServiceName {
	switch {
	case s.Kind == KindConnectProxy && s.Proxy != nil:
		return s.Proxy.DestinationServiceName
	case s.Kind == KindService && s.Connect.Native:
		return s.Service
	default:
		return ""
	}
}

// Instance is a service instance with its node and all checks that bear on it: the node's and its own.
type Instance struct {
	Node    *Node    `msg:"n"`
	Service *Service `msg:"s"`
	Checks  []*Check `msg:"c"`
}

// Status is the worst status of the instance's checks; without checks it is passing.
func (i *Instance) Status() Status {
	worst := StatusPassing
	for _, c := range i.Checks {
		worst = worst.Worse(c.Status)
	}
	return worst
}

// Addr is the address clients dial: the service's own, else its node's.
func (i *Instance) Addr() string {
	if i.Service.Address != "" {
		return i.Service.Address
	}
	return i.Node.Address
}
