package resource

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/balance"
)

// defaultConnectTimeout is Envoy's.
const defaultConnectTimeout = 5 * time.Second

// DecodeCluster reads a CDS resource.
func DecodeCluster(m *clusterv3.Cluster) (*Cluster, error) {
	c := &Cluster{Name: m.GetName(), ConnectTimeout: defaultConnectTimeout}
	if err := c.decode(m); err != nil {
		return nil, in(err, "cluster %q", c.Name)
	}
	return c, nil
}

func (c *Cluster) decode(m *clusterv3.Cluster) (err error) {
	// How load is spread and when a host is ejected are left to the proxy; what HTTP needs is not its concern.
	err = only(m, "name", "alt_stat_name", "type", "eds_cluster_config", "connect_timeout", "load_assignment", "lb_policy",
		"least_request_lb_config", "round_robin_lb_config", "circuit_breakers", "outlier_detection", "common_lb_config",
		"transport_socket", "typed_extension_protocol_options", "per_connection_buffer_limit_bytes")
	if err != nil {
		return err
	}
	if t := m.GetConnectTimeout(); t != nil {
		if c.ConnectTimeout = t.AsDuration(); c.ConnectTimeout <= 0 {
			return fault.New(fault.Invalid, "connect_timeout must be above 0")
		}
	}
	switch m.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN, clusterv3.Cluster_LEAST_REQUEST, clusterv3.Cluster_RANDOM:
	default:
		return fault.New(fault.Invalid, "this proxy cannot balance by %s", m.GetLbPolicy())
	}
	for _, t := range m.GetCircuitBreakers().GetThresholds() {
		if t.GetPriority() == corev3.RoutingPriority_DEFAULT && t.GetMaxConnections() != nil {
			c.MaxConnections = int(min(t.GetMaxConnections().GetValue(), 1<<30))
		}
	}
	if c.TLS, err = decodeClientTLS(m.GetTransportSocket()); err != nil {
		return err
	}
	switch m.GetType() {
	case clusterv3.Cluster_EDS:
		if c.EndpointsName = m.GetEdsClusterConfig().GetServiceName(); c.EndpointsName == "" {
			c.EndpointsName = c.Name
		}
		// An endpoint somewhere in the mesh is dialled by identity or not at all.
		if c.TLS == nil {
			return fault.New(fault.Invalid, "a cluster of mesh endpoints must have mutual TLS")
		}
		return nil
	case clusterv3.Cluster_STATIC:
		c.Static, err = decodeMembers(m.GetLoadAssignment())
		return err
	}
	return fault.New(fault.Invalid, "this proxy has no clusters of type %s", m.GetType())
}

// DecodeEndpoints reads an EDS resource.
func DecodeEndpoints(m *endpointv3.ClusterLoadAssignment) (*Endpoints, error) {
	e := &Endpoints{Name: m.GetClusterName()}
	var err error
	if e.Members, err = decodeMembers(m); err != nil {
		return nil, in(err, "endpoints %q", e.Name)
	}
	return e, nil
}

func decodeMembers(m *endpointv3.ClusterLoadAssignment) ([]balance.Member, error) {
	if err := only(m, "cluster_name", "endpoints", "policy"); err != nil {
		return nil, err
	}
	// Dropping a part of the load on purpose is the one policy that changes who gets through.
	if len(m.GetPolicy().GetDropOverloads()) > 0 {
		return nil, fault.New(fault.Invalid, "this proxy does not drop load (policy.drop_overloads)")
	}
	var members []balance.Member
	for _, locality := range m.GetEndpoints() {
		for _, e := range locality.GetLbEndpoints() {
			a, err := decodeAddress(e.GetEndpoint().GetAddress())
			if err != nil {
				return nil, err
			}
			members = append(members, balance.Member{Address: a, Weight: e.GetLoadBalancingWeight().GetValue(),
				Priority: locality.GetPriority(), Health: decodeHealth(e.GetHealthStatus())})
		}
	}
	return members, nil
}

func decodeHealth(h corev3.HealthStatus) balance.Health {
	switch h {
	case corev3.HealthStatus_HEALTHY, corev3.HealthStatus_UNKNOWN:
		return balance.Healthy
	case corev3.HealthStatus_DRAINING:
		return balance.Draining
	}
	return balance.Unhealthy
}
