package xds_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

var update = flag.Bool("update", false, "write the golden files anew")

var everyScenario = []string{"sidecar-tcp", "sidecar-http", "sidecar-tcp-intentions", "default-deny-acl", "sidecar-grpc-http2", "upstream-config"}

// dump writes all resources with their versions, which also pins their bytes.
func dump(t *testing.T, r *xds.Resources) string {
	var out bytes.Buffer
	for _, kind := range []xds.Type{xds.TypeSecret, xds.TypeCluster, xds.TypeEndpoint, xds.TypeListener, xds.TypeRoute} {
		for _, res := range r.List(kind) {
			m, err := res.Body.UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "# %s %s %s\n", kind, res.Name, res.Version)
			if err := json.Indent(&out, text, "", " "); err != nil {
				t.Fatal(err)
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func TestResourcesAreAsTheGoldenFiles(t *testing.T) {
	for _, name := range everyScenario {
		got := dump(t, build(t, scenario(t, name)))
		file := "testdata/golden/" + name + ".txt"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s (go test -update writes it anew):\n%s", name, file, got)
		}
	}
}

func TestBytesAreStable(t *testing.T) {
	for _, name := range everyScenario {
		first := dump(t, build(t, scenario(t, name)))
		for range 20 {
			if again := dump(t, build(t, scenario(t, name))); again != first {
				t.Fatalf("%s: equal input gave other bytes", name)
			}
		}
	}
}

func TestSnapshotsShareOneMarshallingOfTheirEndpoints(t *testing.T) {
	shared, err := xds.NewEndpoints(sidecarTarget(), dbInstances)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		s := sidecar(nil)
		s.Proxy.ID = model.ServiceID(fmt.Sprint("proxy-", i))
		u := upstream("db")
		u.Endpoints = shared
		s.Upstreams = []xds.Upstream{u}
		if got := build(t, s).List(xds.TypeEndpoint)[0]; got != shared.Resource() {
			t.Fatal("the endpoints were marshalled again")
		}
	}
}

func sidecarTarget() xds.Target {
	return xds.Target{Service: "db", Datacenter: "dc1", TrustDomain: trustDomain}
}

func TestChangeOfEndpointsRebuildsNothingElse(t *testing.T) {
	s := scenario(t, "sidecar-tcp")
	before := build(t, s)
	next := *s
	next.Upstreams = nil
	with(t, &next, s.Upstreams[0], dbInstances[:1])
	after, err := xds.Build(&next, before)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []xds.Type{xds.TypeSecret, xds.TypeCluster, xds.TypeListener} {
		for i, r := range before.List(kind) {
			if after.List(kind)[i] != r {
				t.Errorf("%s %q was built again", kind, r.Name)
			}
		}
	}
	if before.List(xds.TypeEndpoint)[0].Version == after.List(xds.TypeEndpoint)[0].Version {
		t.Error("the endpoints kept their version")
	}
	denied := *s
	denied.Intentions = intentions(rule("bad", "web", "deny"))
	changed, err := xds.Build(&denied, before)
	if err != nil {
		t.Fatal(err)
	}
	if dump(t, changed) != dump(t, build(t, &denied)) {
		t.Error("built on former resources, the result differs from one built anew")
	}
}

func TestEndpointsShowHealthAndWeight(t *testing.T) {
	weighted := func(address string, status model.Status, passing, warning int) *model.Instance {
		i := instance(address, 20000, status)
		i.Service.Weights = model.Weights{Passing: passing, Warning: warning}
		return i
	}
	e, err := xds.NewEndpoints(sidecarTarget(), []*model.Instance{
		weighted("10.0.0.5", model.StatusPassing, 7, 3),
		weighted("10.0.0.4", model.StatusWarning, 7, 3),
		weighted("10.0.0.3", model.StatusCritical, 7, 3),
		weighted("10.0.0.2", model.StatusWarning, 7, 0),
		weighted("10.0.0.1", model.StatusPassing, 0, 0), // not set: 1 and 1
		instance("10.0.0.5", 20000, model.StatusCritical),
		instance("db.example", 20000, model.StatusPassing),
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Resource().Body.UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range m.(*endpointv3.ClusterLoadAssignment).Endpoints[0].LbEndpoints {
		got = append(got, fmt.Sprint(p.GetEndpoint().GetAddress().GetSocketAddress().GetAddress(), " ", p.HealthStatus, " ", p.LoadBalancingWeight.GetValue()))
	}
	want := "[10.0.0.1 HEALTHY 1 10.0.0.2 UNHEALTHY 1 10.0.0.3 UNHEALTHY 7 10.0.0.4 HEALTHY 3 10.0.0.5 HEALTHY 7]"
	if fmt.Sprint(got) != want {
		t.Errorf("endpoints %v, want %s", got, want)
	}
	if s := e.Skipped(); len(s) != 1 || s[0].Node != "node-db.example" {
		t.Errorf("skipped %v", s)
	}
}

func TestBadOptionsAreNamedAndFallBack(t *testing.T) {
	for key, value := range map[string]any{
		"local_connect_timeout_ms": "soon", "max_inbound_connections": -1, "bind_address": "nowhere", "bind_port": 70000,
		"balance_inbound_connections": "fair", "local_idle_timeout_ms": 1.5, "envoy_public_listener_json": "{", "envoy_local_cluster_json": `{"name":7}`,
	} {
		r, err := xds.Build(sidecar(map[string]any{key: value}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error(), key) {
			t.Errorf("%s: problems %v", key, r.Problems)
		}
		plain := build(t, sidecar(nil))
		for _, kind := range []xds.Type{xds.TypeCluster, xds.TypeListener} {
			if got, want := r.List(kind), plain.List(kind); len(got) != len(want) || got[0].Version != want[0].Version {
				t.Errorf("%s: %s differs from that without the option", key, kind)
			}
		}
	}
}

func TestInvalidResourceIsLeftOutAndNamed(t *testing.T) {
	s := sidecar(nil)
	s.Proxy.Proxy.LocalServicePort = 70000
	with(t, s, upstream("db"), dbInstances)
	bad := xds.Upstream{As: &model.Upstream{DestinationName: "cache", LocalBindAddress: "here", LocalBindPort: 1}}
	with(t, s, bad, dbInstances)
	r, err := xds.Build(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	for _, p := range r.Problems {
		problems = append(problems, p.Error())
	}
	text := strings.Join(problems, "\n")
	if len(problems) != 2 || !strings.Contains(text, `"local_app"`) || !strings.Contains(text, `"cache:here:1"`) {
		t.Errorf("problems:\n%s", text)
	}
	if n := len(r.List(xds.TypeListener)); n != 2 {
		t.Errorf("%d listeners, want the public one and db's", n)
	}
}

func TestPeerUpstreamsAreNamed(t *testing.T) {
	s := sidecar(nil)
	with(t, s, xds.Upstream{As: &model.Upstream{DestinationName: "db", DestinationPeer: "east", LocalBindPort: 1}}, nil)
	r, err := xds.Build(s, nil)
	if err != nil || len(r.Problems) != 1 || len(r.List(xds.TypeCluster)) != 1 {
		t.Errorf("problems %v, %d clusters (%v)", r.Problems, len(r.List(xds.TypeCluster)), err)
	}
}

func TestWhatIsNotServedIsNamed(t *testing.T) {
	s := sidecar(nil)
	s.Proxy.Proxy.Mode, s.Proxy.Proxy.EnvoyExtensions = "transparent", []model.EnvoyExtension{{}}
	r, err := xds.Build(s, nil)
	if err != nil || len(r.Problems) != 2 {
		t.Errorf("problems %v (%v)", r.Problems, err)
	}
}

func TestIncompleteSnapshotIsAnError(t *testing.T) {
	s := sidecar(nil)
	s.Leaf = nil
	if _, err := xds.Build(s, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("error: %v", err)
	}
}

// An operator's own listener or cluster never lacks what keeps strangers out.
func TestEscapeHatchesKeepAuthorizationAndIdentity(t *testing.T) {
	s := sidecar(map[string]any{"envoy_public_listener_json": `{"@type":"type.googleapis.com/envoy.config.listener.v3.Listener","name":"mine",
		"address":{"socket_address":{"address":"0.0.0.0","port_value":21000}},"default_filter_chain":{},"filter_chains":[{"filters":[{"name":"envoy.filters.network.tcp_proxy",
		"typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","stat_prefix":"p","cluster":"local_app"}}]}]}`})
	u := upstream("db")
	u.Config = map[string]any{"envoy_cluster_json": `{"name":"any","type":"STATIC","connect_timeout":"9s"}`}
	with(t, s, u, dbInstances)
	r := build(t, s)
	l := generated(t, r, xds.TypeListener)["mine"].(*listenerv3.Listener)
	for _, chain := range append(l.FilterChains, l.DefaultFilterChain) {
		if chain.Filters[0].Name != "envoy.filters.network.rbac" || !chain.TransportSocket.GetTypedConfig().MessageIs((*tlsv3.DownstreamTlsContext)(nil)) {
			t.Errorf("chain without authorization or TLS: %v", chain)
		}
	}
	c := generated(t, r, xds.TypeCluster)[dbCluster].(*clusterv3.Cluster)
	if c.ConnectTimeout.GetSeconds() != 9 || !c.TransportSocket.GetTypedConfig().MessageIs((*tlsv3.UpstreamTlsContext)(nil)) {
		t.Errorf("cluster: %v", c)
	}
}

func TestSocketsAreListenedOnAndDialed(t *testing.T) {
	s := sidecar(nil)
	s.Proxy.Port, s.Proxy.SocketPath = 0, "/run/web-proxy.sock"
	s.Proxy.Proxy.LocalServiceSocketPath = "/run/web.sock"
	socket := instance("10.0.0.1", 0, model.StatusPassing)
	socket.Service.SocketPath = "/run/db.sock"
	with(t, s, upstream("db"), []*model.Instance{socket})
	text := dump(t, build(t, s))
	for _, path := range []string{"/run/web-proxy.sock", "/run/web.sock", "/run/db.sock"} {
		if !strings.Contains(text, `"path": "`+path+`"`) {
			t.Errorf("%s is missing", path)
		}
	}
}
