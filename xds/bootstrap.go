package xds

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// BootstrapConfig is what the static configuration of an Envoy is made of.
type BootstrapConfig struct {
	// Proxy is the service ID of the proxy, and Service the service that it stands for (a gateway's own).
	Proxy   model.ServiceID
	Service model.ServiceName
	// Node is set for a proxy that is not registered with the agent it connects to.
	Node       model.NodeName
	Datacenter string
	// AgentAddress and AgentPort are where the agent serves xDS: an IP address, or with AgentSocket the
	// path of a socket.
	AgentAddress string
	AgentPort    int
	AgentSocket  string
	// AgentTLS speaks TLS to the agent, which is verified by the PEM certificates of AgentCA.
	AgentTLS bool
	AgentCA  string
	Token    model.Secret
	// AdminAddress and AdminPort are where Envoy serves its admin pages (default 127.0.0.1:19000).
	AdminAddress string
	AdminPort    int
	// AdminAccessLog is the path of their access log (default /dev/null).
	AdminAccessLog string
	// ReadyAddress and ReadyPort, when set, serve /ready.
	ReadyAddress string
	ReadyPort    int
	// PrometheusPath is where metrics are scraped (default /metrics), and PrometheusBackend the port that
	// serves them in place of Envoy's admin pages, when set.
	PrometheusPath    string
	PrometheusBackend int
	// OmitDeprecatedTags leaves out the older names of statistics' tags.
	OmitDeprecatedTags bool
	// Config are the opaque options of the proxy, of which those are read that begin with "envoy_" and
	// concern the bootstrap.
	Config map[string]any
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{m.key, m.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				return nil, err
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type list []any

// Bootstrap returns the static configuration of an Envoy as indented JSON: it takes clusters and listeners
// over delta ADS from the agent, the rest from them. An error names the option that cannot be used.
func Bootstrap(c BootstrapConfig) ([]byte, error) {
	if c.Proxy == "" || c.Service == "" {
		return nil, fault.New(fault.BadRequest, "a bootstrap needs the ID of a proxy and the name of its service")
	}
	c = c.withDefaults()
	t, err := readTelemetry(c)
	if err != nil {
		return nil, err
	}
	clusters, listeners := c.staticResources(t)
	static := object{{"clusters", clusters}}
	if len(listeners) > 0 {
		static = append(static, member{"listeners", listeners})
	}
	top := object{
		{"admin", object{
			{"access_log", list{object{
				{"name", "envoy.access_loggers.file"},
				{"typed_config", object{{"@type", urlOf("access_loggers.file.v3.FileAccessLog")}, {"path", c.AdminAccessLog}}},
			}}},
			{"address", jsonAddress(c.AdminAddress, c.AdminPort)},
		}},
		{"node", c.node()},
		{"layered_runtime", object{{"layers", list{object{
			{"name", "base"}, {"static_layer", object{{"re2.max_program_size.error_level", 1048576}}},
		}}}}},
		{"static_resources", static},
	}
	if len(t.sinks) > 0 {
		top = append(top, member{"stats_sinks", t.sinks})
	}
	top = append(top, member{"stats_config", t.stats})
	if t.flush != "" {
		top = append(top, member{"stats_flush_interval", t.flush})
	}
	if t.tracing != nil {
		top = append(top, member{"tracing", t.tracing})
	}
	top = append(top, member{"dynamic_resources", c.dynamic()})
	raw, err := top.MarshalJSON()
	if err != nil {
		return nil, fault.New(fault.Invalid, "Envoy bootstrap of %q: %v", c.Proxy, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fault.New(fault.Internal, "Envoy bootstrap of %q: %v", c.Proxy, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (c BootstrapConfig) withDefaults() BootstrapConfig {
	if c.AdminAddress == "" {
		c.AdminAddress = "127.0.0.1"
	}
	if c.AdminPort == 0 {
		c.AdminPort = 19000
	}
	if c.AdminAccessLog == "" {
		c.AdminAccessLog = "/dev/null"
	}
	if c.PrometheusPath == "" {
		c.PrometheusPath = "/metrics"
	}
	return c
}

func (c BootstrapConfig) node() object {
	var metadata object
	if c.Node != "" {
		metadata = append(metadata, member{"node_name", c.Node})
	}
	metadata = append(metadata, member{"namespace", "default"}, member{"partition", "default"})
	return object{{"cluster", c.Service}, {"id", c.Proxy}, {"metadata", metadata}}
}

func urlOf(extension string) string { return "type.googleapis.com/envoy.extensions." + extension }

func jsonAddress(address string, port int) object {
	return object{{"socket_address", object{{"address", address}, {"port_value", port}}}}
}

func (c BootstrapConfig) dynamic() object {
	source := object{{"ads", object{}}, {"initial_fetch_timeout", "0s"}, {"resource_api_version", "V3"}}
	return object{
		{"lds_config", source},
		{"cds_config", source},
		{"ads_config", object{
			{"api_type", "DELTA_GRPC"},
			{"transport_api_version", "V3"},
			{"grpc_services", object{
				{"initial_metadata", list{object{{"key", tokenKey}, {"value", c.Token.Reveal()}}}},
				{"envoy_grpc", object{{"cluster_name", "local_agent"}}},
			}},
		}},
	}
}

// staticCluster is a cluster of one address.
func staticCluster(name, timeout, version string, address object, transport object) object {
	out := object{{"name", name}, {"ignore_health_on_host_removal", false}, {"connect_timeout", timeout}, {"type", "STATIC"}}
	if transport != nil {
		out = append(out, member{"transport_socket", transport})
	}
	return append(out,
		member{"typed_extension_protocol_options", object{{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions", object{
			{"@type", urlOf("upstreams.http.v3.HttpProtocolOptions")},
			{"explicit_http_config", object{{version, object{}}}},
		}}}},
		member{"loadAssignment", object{
			{"clusterName", name},
			{"endpoints", list{object{{"lbEndpoints", list{object{{"endpoint", object{{"address", address}}}}}}}}},
		}})
}

func (c BootstrapConfig) agentCluster() object {
	address := jsonAddress(c.AgentAddress, c.AgentPort)
	if c.AgentSocket != "" {
		address = object{{"pipe", object{{"path", c.AgentSocket}}}}
	}
	var transport object
	if c.AgentTLS {
		transport = object{{"name", "tls"}, {"typed_config", object{
			{"@type", urlOf("transport_sockets.tls.v3.UpstreamTlsContext")},
			{"common_tls_context", object{{"validation_context", object{{"trusted_ca", object{{"inline_string", c.AgentCA}}}}}}},
		}}}
	}
	return staticCluster("local_agent", "1s", "http2_protocol_options", address, transport)
}

// page is one path that a listener of the bootstrap serves from Envoy's admin pages.
type page struct {
	name, stat, address string
	port                int
	match               member
	rewrite, cluster    string
}

// listener serves a page, and 404 for everything else.
func (p page) listener() object {
	route := func(match member, action member) object { return object{{"match", object{match}}, action} }
	return object{
		{"name", p.name},
		{"address", jsonAddress(p.address, p.port)},
		{"filter_chains", list{object{{"filters", list{object{
			{"name", httpManager},
			{"typedConfig", object{
				{"@type", urlOf("filters.network.http_connection_manager.v3.HttpConnectionManager")},
				{"stat_prefix", p.stat},
				{"codec_type", "HTTP1"},
				{"route_config", object{
					{"name", "self_admin_route"},
					{"virtual_hosts", list{object{
						{"name", "self_admin"},
						{"domains", list{"*"}},
						{"routes", list{
							route(p.match, member{"route", object{{"cluster", p.cluster}, {"prefix_rewrite", p.rewrite}}}),
							route(member{"prefix", "/"}, member{"direct_response", object{{"status", 404}}}),
						}},
					}}},
				}},
				{"http_filters", list{object{
					{"name", "envoy.filters.http.router"},
					{"typedConfig", object{{"@type", urlOf("filters.http.router.v3.Router")}}},
				}}},
			}},
		}}}}}},
	}
}

func (c BootstrapConfig) staticResources(t telemetry) (clusters, listeners list) {
	clusters = list{c.agentCluster()}
	pages := t.pages
	if c.ReadyAddress != "" && c.ReadyPort > 0 {
		pages = append(pages, page{name: "envoy_ready_listener", stat: "envoy_ready", address: c.ReadyAddress, port: c.ReadyPort,
			match: member{"path", "/ready"}, rewrite: "/ready", cluster: "self_admin"})
	}
	made := make(map[string]bool)
	for _, p := range pages {
		if !made[p.cluster] {
			made[p.cluster] = true
			address := jsonAddress(c.AdminAddress, c.AdminPort)
			if p.cluster != "self_admin" {
				address = jsonAddress("127.0.0.1", c.PrometheusBackend)
			}
			clusters = append(clusters, staticCluster(p.cluster, "5s", "http_protocol_options", address, nil))
		}
		listeners = append(listeners, p.listener())
	}
	return append(clusters, t.clusters...), append(listeners, t.listeners...)
}

// durationText writes a duration as protobuf JSON does: "5s", "0.250s".
func durationText(d time.Duration) string {
	whole, rest := d/time.Second, d%time.Second
	if rest == 0 {
		return fmt.Sprintf("%ds", whole)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%09d", whole, int64(math.Abs(float64(rest)))), "0") + "s"
}
