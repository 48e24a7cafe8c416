package xds

import (
	"cmp"
	"net/netip"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Endpoints are the endpoints of one target at one moment, marshalled. They are made once for each change
// and shared by the snapshots of all proxies that dial the target.
type Endpoints struct {
	target   Target
	healthy  []endpoint
	resource *Resource
	skipped  []model.InstanceKey
}

// endpoint is one instance as it is dialed: address and port, or the path of a socket.
type endpoint struct {
	address string
	port    int
	path    string
	health  corev3.HealthStatus
	weight  uint32
}

// where orders endpoints and identifies them.
func (e endpoint) where(o endpoint) int {
	return cmp.Or(cmp.Compare(e.address, o.address), cmp.Compare(e.port, o.port), cmp.Compare(e.path, o.path))
}

// NewEndpoints builds and marshals the endpoints of a target from the instances that serve it in the mesh
// (its proxies, or itself where it is native), in any order. Critical instances stay, marked unhealthy, so
// that a data plane can tell them from ones that are gone; an instance of weight 0 is marked so too.
//
// Instances that have no IP address and no socket are left out (see Skipped): Envoy refuses a whole
// assignment for one of them. An error is a resource that fails validation, and names it.
func NewEndpoints(target Target, instances []*model.Instance) (*Endpoints, error) {
	e := &Endpoints{target: target}
	var all []endpoint
	for _, i := range instances {
		if p, ok := endpointOf(i); ok {
			all = append(all, p)
		} else {
			e.skipped = append(e.skipped, model.InstanceKey{Node: i.Node.Node, ID: i.Service.ID})
		}
	}
	// Of two registrations with one address, the healthier is kept: Envoy refuses duplicates.
	slices.SortFunc(all, func(a, b endpoint) int {
		return cmp.Or(a.where(b), cmp.Compare(a.health, b.health), cmp.Compare(a.weight, b.weight))
	})
	all = slices.CompactFunc(all, func(a, b endpoint) bool { return a.where(b) == 0 })
	locality := new(endpointv3.LocalityLbEndpoints)
	for _, p := range all {
		locality.LbEndpoints = append(locality.LbEndpoints, p.proto())
		if p.health == corev3.HealthStatus_HEALTHY {
			e.healthy = append(e.healthy, p)
		}
	}
	name := target.Cluster()
	var err error
	e.resource, err = newResource(name, &endpointv3.ClusterLoadAssignment{
		ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{locality},
	})
	if err != nil {
		return nil, err
	}
	e.resource.endpoints = e
	return e, nil
}

func endpointOf(i *model.Instance) (endpoint, bool) {
	e := endpoint{health: corev3.HealthStatus_HEALTHY}
	weights := i.Service.Weights
	if weights == (model.Weights{}) {
		weights = model.Weights{Passing: 1, Warning: 1}
	}
	weight := weights.Passing
	switch i.Status() {
	case model.StatusPassing:
	case model.StatusWarning:
		weight = weights.Warning
	default:
		e.health = corev3.HealthStatus_UNHEALTHY
	}
	if weight < 1 {
		e.health, weight = corev3.HealthStatus_UNHEALTHY, 1
	}
	e.weight = uint32(weight)
	if i.Service.Port == 0 && i.Service.SocketPath != "" {
		e.path = i.Service.SocketPath
		return e, true
	}
	ip, err := netip.ParseAddr(i.Addr())
	if err != nil || i.Service.Port < 1 || i.Service.Port > 65535 {
		return e, false
	}
	e.address, e.port = ip.Unmap().String(), i.Service.Port
	return e, true
}

func (e endpoint) proto() *endpointv3.LbEndpoint {
	address := socketAddress(e.address, e.port)
	if e.path != "" {
		address = pipeAddress(e.path, 0)
	}
	return &endpointv3.LbEndpoint{
		HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
		HealthStatus:        e.health,
		LoadBalancingWeight: wrapperspb.UInt32(e.weight),
	}
}

// Target returns whose endpoints they are.
func (e *Endpoints) Target() Target { return e.target }

// Resource returns the endpoint resource, the same for every caller.
func (e *Endpoints) Resource() *Resource { return e.resource }

// Skipped returns the instances that were left out for want of an IP address or a valid port.
func (e *Endpoints) Skipped() []model.InstanceKey { return e.skipped }

// Offers tells whether the endpoint with that IP address and port is there and healthy.
func (e *Endpoints) Offers(addr netip.AddrPort) bool {
	_, found := slices.BinarySearchFunc(e.healthy, endpoint{address: addr.Addr().Unmap().String(), port: int(addr.Port())}, endpoint.where)
	return found
}

// skippedProblems says for each left-out instance what is wrong with it.
func (e *Endpoints) skippedProblems() []error {
	var out []error
	for _, k := range e.skipped {
		out = append(out, fault.New(fault.Invalid, "xDS resource %q: instance %q on node %q has no IP address with a valid port and gets no traffic",
			e.target.Cluster(), k.ID, k.Node))
	}
	return out
}

func socketAddress(address string, port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func pipeAddress(path string, mode uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path, Mode: mode}}}
}
