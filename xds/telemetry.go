package xds

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"

	"github.com/lictor-mesh/lictor/model/fault"
)

// telemetry are the parts of a bootstrap that a proxy's opaque options ask for.
type telemetry struct {
	pages               []page
	sinks               list
	stats               any
	flush               string
	tracing             any
	clusters, listeners list
}

// readTelemetry reads the options. Unlike those of xDS resources a bad one is an error: a bootstrap is made
// once, by somebody who can mend it.
func readTelemetry(c BootstrapConfig) (telemetry, error) {
	var problems []error
	o := bag{at: "proxy " + string(c.Proxy), values: normalize(c.Config), problems: &problems}
	var t telemetry
	t.readPages(c, o)
	for _, kind := range []string{"statsd", "dogstatsd"} {
		if sink := o.sink("envoy_"+kind+"_url", kind); sink != nil {
			t.sinks = append(t.sinks, sink)
		}
	}
	t.sinks = append(t.sinks, o.fragments("envoy_extra_stats_sinks_json")...)
	t.clusters = o.fragments("envoy_extra_static_clusters_json")
	t.listeners = o.fragments("envoy_extra_static_listeners_json")
	t.stats = object{{"stats_tags", statsTags(c, o.tags("envoy_stats_tags"))}, {"use_all_default_tags", true}}
	if custom := o.fragment("envoy_stats_config_json"); custom != nil {
		t.stats = custom
	}
	if d := o.duration("envoy_stats_flush_interval"); d != nil {
		t.flush = durationText(*d)
	}
	if tracing := o.fragment("envoy_tracing_json"); tracing != nil {
		t.tracing = tracing
	}
	if len(problems) > 0 {
		return t, fault.New(fault.BadRequest, "%s", strings.TrimSuffix(problems[0].Error(), ", and is ignored"))
	}
	return t, nil
}

func (t *telemetry) readPages(c BootstrapConfig, o bag) {
	if at, ok := o.addrPort("envoy_prometheus_bind_addr"); ok {
		p := page{name: "envoy_prometheus_metrics_listener", stat: "envoy_prometheus_metrics", address: at.Addr().String(), port: int(at.Port()),
			match: member{"path", c.PrometheusPath}, rewrite: "/stats/prometheus", cluster: "self_admin"}
		if c.PrometheusBackend > 0 {
			p.cluster = "prometheus_backend"
		}
		t.pages = append(t.pages, p)
	}
	if at, ok := o.addrPort("envoy_stats_bind_addr"); ok {
		t.pages = append(t.pages, page{name: "envoy_metrics_listener", stat: "envoy_metrics", address: at.Addr().String(), port: int(at.Port()),
			match: member{"prefix", "/stats"}, rewrite: "/stats", cluster: "self_admin"})
	}
}

func (o bag) addrPort(key string) (netip.AddrPort, bool) {
	v := o.text(key)
	if v == "" {
		return netip.AddrPort{}, false
	}
	at, err := netip.ParseAddrPort(v)
	if err != nil {
		o.problem(key, "is %q, want an IP address and a port", v)
	}
	return at, err == nil
}

// sink reads "udp://127.0.0.1:8125" or "unix:///path".
func (o bag) sink(key, kind string) any {
	v := o.text(key)
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "udp" && u.Scheme != "unix") {
		o.problem(key, "is %q, want udp://address:port or unix:///path", v)
		return nil
	}
	var address object
	if u.Scheme == "unix" {
		address = object{{"pipe", object{{"path", u.Path}}}}
	} else {
		at, err := netip.ParseAddrPort(u.Host)
		if err != nil {
			o.problem(key, "is %q, want an IP address and a port after udp://", v)
			return nil
		}
		address = jsonAddress(at.Addr().String(), int(at.Port()))
	}
	name, message := "envoy.stat_sinks.statsd", "StatsdSink"
	if kind == "dogstatsd" {
		name, message = "envoy.stat_sinks.dog_statsd", "DogStatsdSink"
	}
	return object{{"name", name}, {"typedConfig", object{
		{"@type", "type.googleapis.com/envoy.config.metrics.v3." + message}, {"address", address},
	}}}
}

// fragment reads one JSON value.
func (o bag) fragment(key string) any {
	v := o.text(key)
	if v == "" {
		return nil
	}
	if !json.Valid([]byte(v)) {
		o.problem(key, "is not valid JSON")
		return nil
	}
	return json.RawMessage(v)
}

// fragments reads JSON objects separated by commas.
func (o bag) fragments(key string) list {
	v := strings.TrimSpace(o.text(key))
	if v == "" {
		return nil
	}
	if !strings.HasPrefix(v, "[") {
		v = "[" + strings.TrimSuffix(v, ",") + "]"
	}
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(v), &parts); err != nil {
		o.problem(key, "is not JSON objects separated by commas: %v", err)
	}
	var out list
	for _, p := range parts {
		out = append(out, p)
	}
	return out
}

// tags reads "name=value" texts.
func (o bag) tags(key string) list {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	all, ok := v.([]any)
	if !ok {
		o.problem(key, "is %v, want a list of \"name=value\"", v)
	}
	var out list
	for _, e := range all {
		text, _ := e.(string)
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			o.problem(key, "has %v, want \"name=value\"", e)
			continue
		}
		out = append(out, fixedTag(name, value))
	}
	return out
}
