package resource

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/lictor-mesh/lictor/model/fault"
)

// An HTTP connection manager is carried as TCP when carrying it so does all that it asks for: one route for
// everything, to one cluster, and authorization by caller alone.

// harmless tells of HTTP filters that change nothing which a connection-level proxy could let through by leaving them
// out: the router is the routing itself, header_to_metadata feeds filters that are refused if they depend on it, and the
// gRPC filters count, or translate for clients that a native upstream listener does not have.
func harmless(kind string) bool {
	switch kind {
	case "envoy.extensions.filters.http.router.v3.Router",
		"envoy.extensions.filters.http.header_to_metadata.v3.Config",
		"envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
		"envoy.extensions.filters.http.grpc_http1_bridge.v3.Config":
		return true
	}
	return false
}

func (l *Listener) decodeHTTP(m *hcmv3.HttpConnectionManager) error {
	err := only(m, "stat_prefix", "codec_type", "route_config", "rds", "http_filters", "tracing", "upgrade_configs",
		"forward_client_cert_details", "set_current_client_cert_details", "normalize_path", "merge_slashes",
		"http_protocol_options", "http2_protocol_options", "access_log", "generate_request_id", "use_remote_address")
	if err != nil {
		return err
	}
	for _, f := range m.GetHttpFilters() {
		if err := l.decodeHTTPFilter(f); err != nil {
			return in(err, "http filter %q", f.GetName())
		}
	}
	if rds := m.GetRds(); rds != nil {
		if l.Route = rds.GetRouteConfigName(); l.Route == "" {
			return fault.New(fault.Invalid, "rds names no route")
		}
		return nil
	}
	r, err := DecodeRoute(m.GetRouteConfig())
	if err != nil {
		return err
	}
	l.Cluster = r.Cluster
	return nil
}

func (l *Listener) decodeHTTPFilter(f *hcmv3.HttpFilter) error {
	if f.GetConfigDiscovery() != nil {
		return fault.New(fault.Invalid, "this proxy does not discover filters")
	}
	config := f.GetTypedConfig()
	if kind := string(config.MessageName()); harmless(kind) || f.GetDisabled() {
		return nil
	} else if kind != "envoy.extensions.filters.http.rbac.v3.RBAC" {
		return fault.New(fault.Invalid, "this proxy has no filter %q", kind)
	}
	var m httprbacv3.RBAC
	if err := unpack(config, &m); err != nil {
		return err
	}
	if err := only(&m, "rules", "rules_stat_prefix", "shadow_rules", "shadow_rules_stat_prefix"); err != nil {
		return err
	}
	var err error
	l.Authorization, err = decodeRules(l.Authorization, m.GetRules())
	return err
}

// DecodeRoute reads an RDS resource, or the route that a listener has inline: it must send everything to one cluster.
func DecodeRoute(m *routev3.RouteConfiguration) (*Route, error) {
	r := &Route{Name: m.GetName()}
	if err := r.decode(m); err != nil {
		return nil, in(err, "route %q", r.Name)
	}
	return r, nil
}

func (r *Route) decode(m *routev3.RouteConfiguration) error {
	if err := only(m, "name", "virtual_hosts", "validate_clusters"); err != nil {
		return err
	}
	if len(m.GetVirtualHosts()) != 1 {
		return fault.New(fault.Invalid, "this proxy routes per connection, and takes exactly one virtual host, not %d", len(m.GetVirtualHosts()))
	}
	host := m.GetVirtualHosts()[0]
	if err := only(host, "name", "domains", "routes"); err != nil {
		return err
	}
	if len(host.GetDomains()) != 1 || host.GetDomains()[0] != "*" || len(host.GetRoutes()) != 1 {
		return fault.New(fault.Invalid, "this proxy routes per connection, and takes one route for the domain * only")
	}
	route := host.GetRoutes()[0]
	if err := only(route, "name", "match", "route"); err != nil {
		return err
	}
	if err := only(route.GetMatch(), "prefix"); err != nil {
		return err
	}
	if route.GetMatch().GetPrefix() != "/" {
		return fault.New(fault.Invalid, "this proxy routes per connection, and cannot match the prefix %q", route.GetMatch().GetPrefix())
	}
	// Timeouts of requests need requests; a connection is bounded by its idle timeout.
	if err := only(route.GetRoute(), "cluster", "timeout", "idle_timeout"); err != nil {
		return err
	}
	if r.Cluster = route.GetRoute().GetCluster(); r.Cluster == "" {
		return fault.New(fault.Invalid, "the route names no cluster")
	}
	return nil
}
