package xds_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

// Types that a bootstrap refers to by URL only, for protojson to find.
var _ = []any{(*filev3.FileAccessLog)(nil), (*metricsv3.StatsdSink)(nil)}

func bootstrapOf(change func(*xds.BootstrapConfig)) xds.BootstrapConfig {
	c := xds.BootstrapConfig{Proxy: "web-sidecar-proxy", Service: "web", Datacenter: "dc1", AgentAddress: "127.0.0.1", AgentPort: 8502}
	if change != nil {
		change(&c)
	}
	return c
}

func TestBootstrapIsAsRecordedAndEnvoyTakesIt(t *testing.T) {
	for name, change := range map[string]func(*xds.BootstrapConfig){
		"sidecar":    nil,
		"access-log": func(c *xds.BootstrapConfig) { c.AdminAccessLog = "/tmp/a.log" },
		"ready": func(c *xds.BootstrapConfig) {
			c.Proxy, c.Service, c.ReadyAddress, c.ReadyPort = "ig", "ig", "127.0.0.1", 8444
		},
		"tls": func(c *xds.BootstrapConfig) { c.AgentTLS, c.AgentPort = true, 8503 },
		"telemetry": func(c *xds.BootstrapConfig) {
			c.Config = map[string]any{"envoy_prometheus_bind_addr": "0.0.0.0:9102", "envoy_statsd_url": "udp://127.0.0.1:8125",
				"envoy_stats_tags": []any{"a=b"}, "envoy_tracing_json": "{}", "envoy_stats_flush_interval": "5s", "protocol": "http"}
		},
	} {
		got, err := xds.Bootstrap(bootstrapOf(change))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile("testdata/bootstrap/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from the recorded text:\n%s", name, got)
		}
		takeBootstrap(t, name, got)
	}
}

func takeBootstrap(t *testing.T, name string, text []byte) *bootstrapv3.Bootstrap {
	t.Helper()
	// The recorded text has one object where the schema has a list of them. Envoy's own parser takes that,
	// protojson does not.
	strict := regexp.MustCompile(`(?s)"grpc_services": (\{.*\})(\s+\}\s+\}\s+\}\s*)$`).ReplaceAll(text, []byte(`"grpc_services": [$1]$2`))
	b := new(bootstrapv3.Bootstrap)
	if err := protojson.Unmarshal(strict, b); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := b.ValidateAll(); err != nil && name != "telemetry" { // whose recorded "tracing" is empty
		t.Errorf("%s: %v", name, err)
	}
	return b
}

func TestBootstrapCarriesTokenNodeAndSocket(t *testing.T) {
	text, err := xds.Bootstrap(bootstrapOf(func(c *xds.BootstrapConfig) {
		c.Token, c.Node, c.AgentSocket, c.OmitDeprecatedTags = model.NewSecret("t0ken"), "n1", "/run/x.sock", true
		c.Config = map[string]any{"envoy_dogstatsd_url": "unix:///run/dd.sock", "envoy_stats_bind_addr": "127.0.0.1:9103",
			"envoy_stats_flush_interval": "250ms"}
	}))
	if err != nil {
		t.Fatal(err)
	}
	b := takeBootstrap(t, "", text)
	services := b.DynamicResources.AdsConfig.GrpcServices
	if got := services[0].InitialMetadata[0].Value; got != "t0ken" {
		t.Errorf("token %q", got)
	}
	if got := b.Node.Metadata.Fields["node_name"].GetStringValue(); got != "n1" {
		t.Errorf("node %q", got)
	}
	if got := b.StaticResources.Clusters[0].LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().GetAddress().GetPipe().GetPath(); got != "/run/x.sock" {
		t.Errorf("socket %q", got)
	}
	if strings.Contains(string(text), `"consul.custom_hash"`) {
		t.Error("deprecated tags are there")
	}
}

func TestBadBootstrapOptionIsNamed(t *testing.T) {
	for _, key := range []string{"envoy_statsd_url", "envoy_prometheus_bind_addr", "envoy_tracing_json", "envoy_extra_static_clusters_json",
		"envoy_stats_tags", "envoy_stats_flush_interval"} {
		_, err := xds.Bootstrap(bootstrapOf(func(c *xds.BootstrapConfig) { c.Config = map[string]any{key: "{nonsense"} }))
		if !fault.Is(err, fault.BadRequest) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
