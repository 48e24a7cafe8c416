package ads

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// last is a sink that keeps what it was told last.
type last struct {
	mu      sync.Mutex
	state   *resource.State
	waiting string
}

func (l *last) Apply(s *resource.State) { l.mu.Lock(); l.state = s; l.mu.Unlock() }
func (l *last) Report(w string)         { l.mu.Lock(); l.waiting = w; l.mu.Unlock() }

func (l *last) get() (*resource.State, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == nil {
		return resource.NewState(), l.waiting
	}
	return l.state, l.waiting
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func start(t *testing.T, addr string) *last {
	t.Helper()
	c, err := New(Config{Addr: addr, ProxyID: "web-sidecar-proxy", Service: "web", Token: model.NewSecret("s3cret"),
		Metadata: map[string]any{"namespace": "default"}, Logger: hclog.NewNullLogger()})
	if err != nil {
		t.Fatal(err)
	}
	sink := &last{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx, sink) }()
	t.Cleanup(func() { cancel(); <-ended })
	return sink
}

func endpoints(name string, ports ...uint32) *endpointv3.ClusterLoadAssignment {
	group := &endpointv3.LocalityLbEndpoints{}
	for _, p := range ports {
		group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{HealthStatus: corev3.HealthStatus_HEALTHY,
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
				SocketAddress: &corev3.SocketAddress{Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: p}}}}}}})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{group}}
}

func cluster(t *testing.T, name string) *clusterv3.Cluster {
	t.Helper()
	config, err := anypb.New(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: "leaf:web"}},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext: &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "spiffe://a.consul/ns/default/dc/dc1/svc/" + name}}}}},
			ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: "roots"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return &clusterv3.Cluster{Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{EdsConfig: &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}},
		TransportSocket:  &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config}}}
}

func roots(ca *meshtest.CA) *tlsv3.Secret {
	return &tlsv3.Secret{Name: "roots", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
		TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: ca.PEM}}}}}
}

func leaf(t *testing.T, ca *meshtest.CA) *tlsv3.Secret {
	chain, key := ca.Leaf(t, ca.ID("web"))
	return &tlsv3.Secret{Name: "leaf:web", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: chain}},
		PrivateKey:       &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: key}}}}}
}

// filled is a server that has a cluster, its endpoints, and the secrets.
func filled(t *testing.T) *meshtest.ADS {
	server, ca := meshtest.NewADS(t), meshtest.NewCA(t, "a.consul")
	server.Set("db", cluster(t, "db"))
	server.Set("db", endpoints("db", 1, 2))
	server.Set("roots", roots(ca))
	server.Set("leaf:web", leaf(t, ca))
	return server
}

func TestFollowsReferencesAndAcknowledges(t *testing.T) {
	server := filled(t)
	sink := start(t, server.Addr())
	eventually(t, "all is there", func() bool {
		s, waiting := sink.get()
		return waiting == "" && s.Clusters["db"] != nil && s.Endpoints["db"] != nil && s.Secrets["roots"] != nil && s.Secrets["leaf:web"] != nil
	})
	eventually(t, "each response is answered", server.Settled)
	first := server.Requests(ClusterType)[0]
	if n := first.GetNode(); n.GetId() != "web-sidecar-proxy" || n.GetCluster() != "web" || n.GetMetadata().AsMap()["namespace"] != "default" {
		t.Errorf("the node is %v", n)
	}
	if !slices.Equal(first.Token, []string{"s3cret"}) {
		t.Errorf("the token is %q", first.Token)
	}
	if got := server.Requests(SecretType)[0].GetResourceNamesSubscribe(); !slices.Equal(got, []string{"leaf:web", "roots"}) {
		t.Errorf("secrets asked for: %q", got)
	}
	for _, r := range server.Requests(EndpointType) {
		if r.GetErrorDetail() != nil {
			t.Errorf("refused: %v", r.GetErrorDetail())
		}
	}
	server.Set("db", endpoints("db", 2, 3, 4))
	eventually(t, "an update arrives", func() bool { s, _ := sink.get(); return len(s.Endpoints["db"].Members) == 3 })
}

func TestRefusalKeepsTheLastGoodAndTakesTheRest(t *testing.T) {
	server := filled(t)
	sink := start(t, server.Addr())
	eventually(t, "all is there", func() bool { s, _ := sink.get(); return s.Endpoints["db"] != nil })
	good, _ := sink.get()

	bad := cluster(t, "db")
	bad.LbPolicy = clusterv3.Cluster_MAGLEV
	server.Set("db", bad)
	server.Set("api", cluster(t, "api"))
	refusal := func() string {
		for _, r := range server.Requests(ClusterType) {
			if d := r.GetErrorDetail(); d != nil {
				return d.GetMessage()
			}
		}
		return ""
	}
	eventually(t, "a NACK", func() bool { return refusal() != "" })
	if got := refusal(); !strings.Contains(got, `cluster "db"`) || !strings.Contains(got, "MAGLEV") {
		t.Errorf("the reason is %q", got)
	}
	eventually(t, "the other resource counts", func() bool { s, _ := sink.get(); return s.Clusters["api"] != nil })
	if s, _ := sink.get(); s.Clusters["db"] != good.Clusters["db"] {
		t.Error("the last good cluster is gone")
	}
	server.Set("db", cluster(t, "db"))
	eventually(t, "a mended one counts", func() bool { s, _ := sink.get(); return s.Clusters["db"] != good.Clusters["db"] })
}

func TestBadSecretsAreRefusedWithoutTheirKey(t *testing.T) {
	server := filled(t)
	ca := meshtest.NewCA(t, "a.consul")
	sink := start(t, server.Addr())
	eventually(t, "all is there", func() bool { s, _ := sink.get(); return s.Secrets["leaf:web"] != nil })
	mixed := leaf(t, ca)
	mixed.GetTlsCertificate().PrivateKey = leaf(t, ca).GetTlsCertificate().GetPrivateKey()
	server.Set("leaf:web", mixed)
	eventually(t, "a NACK", func() bool {
		for _, r := range server.Requests(SecretType) {
			if d := r.GetErrorDetail(); d != nil {
				if strings.Contains(d.GetMessage(), "PRIVATE") {
					t.Error("the reason quotes the key")
				}
				return strings.Contains(d.GetMessage(), "private key does not match")
			}
		}
		return false
	})
}

func TestReconnectResumesFromHeldVersions(t *testing.T) {
	server := filled(t)
	sink := start(t, server.Addr())
	eventually(t, "all is there", func() bool { s, _ := sink.get(); return s.Endpoints["db"] != nil && s.Secrets["leaf:web"] != nil })
	eventually(t, "each response is answered", server.Settled)
	before, _ := sink.get()
	server.Stop()
	eventually(t, "the loss is reported", func() bool { _, w := sink.get(); return strings.Contains(w, "does not answer") })
	if now, _ := sink.get(); now.Endpoints["db"] != before.Endpoints["db"] {
		t.Error("the state is gone with the stream")
	}
	server.Remove(EndpointType, "db") // gone while nobody was told
	old := len(server.Requests(ClusterType))
	server.Start()
	eventually(t, "the client is back", func() bool { return len(server.Requests(ClusterType)) > old })
	resumed := server.Requests(ClusterType)[old]
	if len(resumed.GetInitialResourceVersions()) != 1 || resumed.GetInitialResourceVersions()["db"] == "" || resumed.GetNode() == nil {
		t.Errorf("resumed with %v", resumed)
	}
	eventually(t, "what was removed meanwhile is gone", func() bool { s, _ := sink.get(); return s.Endpoints["db"] == nil })
	if s, _ := sink.get(); s.Clusters["db"] != before.Clusters["db"] {
		t.Error("an unchanged resource was sent again")
	}
}

func TestSilenceOfTheControlPlaneIsUnderstood(t *testing.T) {
	server := meshtest.NewADS(t)
	sink := start(t, server.Addr())
	eventually(t, "an unregistered proxy says so", func() bool {
		_, w := sink.get()
		return strings.Contains(w, "nothing for the proxy web-sidecar-proxy yet: is it registered")
	})
	server.Set("db", cluster(t, "db"))
	eventually(t, "the state is there", func() bool { s, w := sink.get(); return w == "" && s.Clusters["db"] != nil })
	eventually(t, "each response is answered", server.Settled)
	server.Stop()
	eventually(t, "the loss is reported", func() bool { _, w := sink.get(); return w != "" })
	server.Start()
	// Nothing changed, so the server has nothing to say: the state is current again all the same.
	eventually(t, "the state is current", func() bool { _, w := sink.get(); return w == "" })
}

func TestUnneededNamesAreUnsubscribed(t *testing.T) {
	server := filled(t)
	sink := start(t, server.Addr())
	eventually(t, "all is there", func() bool { s, _ := sink.get(); return s.Endpoints["db"] != nil })
	server.Remove(ClusterType, "db")
	eventually(t, "unsubscribed", func() bool {
		all := server.Requests(EndpointType)
		return slices.Equal(all[len(all)-1].GetResourceNamesUnsubscribe(), []string{"db"})
	})
	server.Set("db", cluster(t, "db"))
	eventually(t, "subscribed again", func() bool {
		s, _ := sink.get()
		return s.Clusters["db"] != nil && s.Endpoints["db"] != nil
	})
}

func TestRefusedTokenIsSaidAndTriedAgain(t *testing.T) {
	server := filled(t)
	server.Refuse(status.Error(codes.PermissionDenied, "Permission denied"))
	sink := start(t, server.Addr())
	eventually(t, "it is said", func() bool {
		_, w := sink.get()
		return strings.Contains(w, "refuses this proxy's token") && !strings.Contains(w, "s3cret")
	})
	server.Refuse(nil)
	eventually(t, "it works in the end", func() bool { s, _ := sink.get(); return s.Clusters["db"] != nil })
}

func TestDelayIsBoundedAndSpread(t *testing.T) {
	c := &Client{cfg: Config{RetryBase: 50 * time.Millisecond, RetryMax: 3 * time.Second}}
	for attempt := range 200 {
		full := min(c.cfg.RetryMax, c.cfg.RetryBase<<min(attempt, 20))
		if d := c.delay(attempt); d < full/2 || d > full {
			t.Fatalf("attempt %d waits %v, want %v to %v", attempt, d, full/2, full)
		}
	}
}
