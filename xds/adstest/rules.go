package adstest

import (
	"bytes"
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

func (c *Client) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

// check holds a response to the rules. It returns nil for one of a type that cannot be kept.
func (c *Client) check(resp *discoveryv3.DeltaDiscoveryResponse) *typeState {
	t := c.types[resp.TypeUrl]
	if t == nil || !t.asked {
		c.fault("response of type %q, which was not asked for", resp.TypeUrl)
		return nil
	}
	if resp.Nonce == "" || c.nonces[resp.Nonce] {
		c.fault("nonce %q is empty or was used before", resp.Nonce)
	}
	c.nonces[resp.Nonce] = true
	for _, r := range resp.Resources {
		if slices.Contains(resp.RemovedResources, r.Name) {
			c.fault("%s %q is sent and removed by one response", resp.TypeUrl, r.Name)
		}
		c.checkResource(t, resp.TypeUrl, r)
	}
	for _, name := range resp.RemovedResources {
		if _, had := t.have[name]; !had && !t.names[name] && c.options.Initial[resp.TypeUrl][name] == "" && !t.again[name] && !t.dropped[name] {
			c.fault("%s %q is removed, but was never sent nor asked for", resp.TypeUrl, name)
		}
		if by := c.user(resp.TypeUrl, name); by != "" {
			c.fault("%s %q is removed while %s refers to it", resp.TypeUrl, name, by)
		}
	}
	return t
}

func (c *Client) checkResource(t *typeState, url string, r *discoveryv3.Resource) {
	if !t.wildcard && !t.names[r.Name] && !t.dropped[r.Name] {
		c.fault("%s %q was not asked for", url, r.Name)
	}
	if r.Version == "" {
		c.fault("%s %q has no version", url, r.Name)
	}
	if r.GetResource().GetTypeUrl() != url {
		c.fault("%s %q is of type %q", url, r.Name, r.GetResource().GetTypeUrl())
	}
	had, ok := t.have[r.Name]
	switch {
	case ok && had.version == r.Version && !bytes.Equal(had.bytes, r.GetResource().GetValue()):
		c.fault("%s %q changed, but not its version", url, r.Name)
	case ok && had.version == r.Version && !t.again[r.Name]:
		c.fault("%s %q was sent again unchanged", url, r.Name)
	case ok && had.version != r.Version && bytes.Equal(had.bytes, r.GetResource().GetValue()):
		c.fault("%s %q has a new version, but the same bytes", url, r.Name)
	case !ok && c.options.Initial[url][r.Name] == r.Version && !t.again[r.Name]:
		c.fault("%s %q was sent, though the client said that it has it", url, r.Name)
	}
	m, err := r.GetResource().UnmarshalNew()
	if err != nil {
		c.fault("%s %q: %v", url, r.Name, err)
		return
	}
	if own := nameOf(m); own != r.Name {
		c.fault("%s %q calls itself %q", url, r.Name, own)
	}
	if err := validateDeep(m); err != nil {
		c.fault("%s %q: %v", url, r.Name, err)
	}
	c.checkOrder(url, r.Name, m)
}

// checkOrder holds listeners and routes to make-before-break: the clusters that they name are there with
// their endpoints, and so are the secrets that were asked for before.
func (c *Client) checkOrder(url, name string, m proto.Message) {
	if url != Listeners && url != Routes || !c.types[Clusters].asked {
		return
	}
	for _, ref := range references(m) {
		t := c.types[ref.url]
		_, have := t.have[ref.name]
		switch {
		case have || c.options.Initial[ref.url][ref.name] != "":
		case ref.url == Clusters:
			c.fault("listener or route %q came before cluster %q", name, ref.name)
		case ref.url == Secrets && t.names[ref.name]:
			c.fault("listener %q came before secret %q", name, ref.name)
		}
		if cluster, ok := t.have[ref.name]; ok && ref.url == Clusters {
			for _, inner := range references(cluster.message) {
				eds := c.types[Endpoints]
				if _, have := eds.have[inner.name]; inner.url == Endpoints && !have && !eds.absent[inner.name] && eds.names[inner.name] {
					c.fault("listener or route %q came before the endpoints of cluster %q", name, ref.name)
				}
			}
		}
	}
}

// user names a resource that the client holds and that refers to another.
func (c *Client) user(url, name string) string {
	for _, from := range []string{Clusters, Listeners, Routes} {
		for by, h := range c.types[from].have {
			for _, ref := range references(h.message) {
				// Endpoints that do not exist (yet) are told so while their cluster lives.
				_, had := c.types[url].have[name]
				if ref.url == url && ref.name == name && had {
					return by
				}
			}
		}
	}
	return ""
}

func (c *Client) keep(t *typeState, resp *discoveryv3.DeltaDiscoveryResponse) {
	for _, r := range resp.Resources {
		if !t.wildcard && !t.names[r.Name] {
			continue
		}
		if m, err := r.GetResource().UnmarshalNew(); err == nil {
			t.have[r.Name] = held{version: r.Version, message: m, bytes: r.GetResource().GetValue()}
			delete(t.again, r.Name)
			delete(t.absent, r.Name)
		}
	}
	for _, name := range resp.RemovedResources {
		delete(t.have, name)
		delete(t.again, name)
		t.absent[name] = true
	}
}

// reference is the use of one resource by another.
type reference struct{ url, name string }

// references lists what a cluster, listener or route refers to.
func references(m proto.Message) []reference {
	var out []reference
	walk(m, func(inner proto.Message) {
		switch v := inner.(type) {
		case *clusterv3.Cluster:
			if v.GetType() == clusterv3.Cluster_EDS {
				name := v.GetEdsClusterConfig().GetServiceName()
				if name == "" {
					name = v.Name
				}
				out = append(out, reference{Endpoints, name})
			}
		case *tlsv3.SdsSecretConfig:
			out = append(out, reference{Secrets, v.Name})
		case *tcpv3.TcpProxy:
			out = append(out, reference{Clusters, v.GetCluster()})
		case *routev3.RouteAction:
			out = append(out, reference{Clusters, v.GetCluster()})
		case *hcmv3.Rds:
			out = append(out, reference{Routes, v.RouteConfigName})
		}
	})
	return out
}

// walk visits m and every message within, through Any too.
func walk(m proto.Message, visit func(proto.Message)) {
	if a, ok := m.(*anypb.Any); ok {
		if inner, err := a.UnmarshalNew(); err == nil {
			walk(inner, visit)
		}
		return
	}
	visit(m)
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
					walk(e.Message().Interface(), visit)
					return true
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message().Interface(), visit)
			}
		default:
			walk(v.Message().Interface(), visit)
		}
		return true
	})
}

// validateDeep applies the validation rules of m and of every message within.
func validateDeep(m proto.Message) error {
	var failed error
	walk(m, func(inner proto.Message) {
		if v, ok := inner.(interface{ ValidateAll() error }); ok && failed == nil {
			failed = v.ValidateAll()
		}
	})
	return failed
}

func nameOf(m proto.Message) string {
	switch v := m.(type) {
	case *clusterv3.Cluster:
		return v.Name
	case *endpointv3.ClusterLoadAssignment:
		return v.ClusterName
	case *listenerv3.Listener:
		return v.Name
	case *routev3.RouteConfiguration:
		return v.Name
	case *tlsv3.Secret:
		return v.Name
	}
	return ""
}
