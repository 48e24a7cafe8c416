package xds_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	netrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lictor-mesh/lictor/xds"
)

// durations are the values that the recording left open.
var durations = map[string]string{"clusters": "1.500s", "listeners": "2.500s"}

// recorded reads one type of a recorded scenario.
func recorded(t *testing.T, scenario, kind string, fresh func() proto.Message) map[string]proto.Message {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors/" + scenario + "/" + kind + ".json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("<uuid:a>", uuid, "<duration>", durations[kind]).Replace(string(raw))
	var list []struct {
		Name     string
		Resource json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]proto.Message)
	for _, e := range list {
		m := fresh()
		if err := protojson.Unmarshal(e.Resource, m); err != nil {
			t.Fatalf("%s %s: %v", kind, e.Name, err)
		}
		out[e.Name] = m
	}
	return out
}

func generated(t *testing.T, r *xds.Resources, kind xds.Type) map[string]proto.Message {
	t.Helper()
	out := make(map[string]proto.Message)
	for _, res := range r.List(kind) {
		m, err := res.Body.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		out[res.Name] = m
	}
	return out
}

// The listed deviations from the recorded resources:
//   - certificates and roots are references to secrets, where the recording has them inline;
//   - RBAC has one policy for each intention, where the recording has one for all; what is compared is
//     whom the two allow (TestAuthorizationAllowsWhomTheRecordingAllows).

// toSecrets rewrites a recorded transport socket the way of the first deviation.
func toSecrets(t *testing.T, socket *corev3.TransportSocket) {
	if socket == nil {
		return
	}
	ads := func(name string) *tlsv3.SdsSecretConfig {
		return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}}
	}
	m, err := socket.GetTypedConfig().UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	var common *tlsv3.CommonTlsContext
	switch m := m.(type) {
	case *tlsv3.DownstreamTlsContext:
		common = m.CommonTlsContext
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{ValidationContextSdsSecretConfig: ads("roots")}
	case *tlsv3.UpstreamTlsContext:
		common = m.CommonTlsContext
		inline := common.GetValidationContext()
		inline.TrustedCa = nil
		common.TlsParams = &tlsv3.TlsParameters{TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3}
		common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext: inline, ValidationContextSdsSecretConfig: ads("roots")}}
	}
	common.TlsCertificates = nil
	common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{ads("leaf:web")}
	socket.ConfigType = &corev3.TransportSocket_TypedConfig{TypedConfig: repack(t, m)}
}

func repack(t *testing.T, m proto.Message) *anypb.Any {
	a := new(anypb.Any)
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		t.Fatal(err)
	}
	return a
}

// takeRBAC empties the rules of every RBAC filter of a listener and returns those it found.
func takeRBAC(t *testing.T, l *listenerv3.Listener) []*rbacv3.RBAC {
	var out []*rbacv3.RBAC
	for _, chain := range l.FilterChains {
		for _, f := range chain.Filters {
			m, err := f.GetTypedConfig().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *netrbacv3.RBAC:
				out, m.Rules = append(out, m.Rules), nil
			case *hcmv3.HttpConnectionManager:
				for _, hf := range m.HttpFilters {
					inner := new(httprbacv3.RBAC)
					if hf.GetTypedConfig().MessageIs(inner) {
						if err := hf.GetTypedConfig().UnmarshalTo(inner); err != nil {
							t.Fatal(err)
						}
						out, inner.Rules = append(out, inner.Rules), nil
						hf.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: repack(t, inner)}
					}
				}
			}
			f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: repack(t, m)}
		}
	}
	return out
}

func compare(t *testing.T, kind string, want, got map[string]proto.Message) {
	t.Helper()
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			t.Errorf("%s %q is missing", kind, name)
		} else if !proto.Equal(w, g) {
			t.Errorf("%s %q differs\nrecorded:  %s\ngenerated: %s", kind, name, protojson.Format(w), protojson.Format(g))
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s %q was not recorded", kind, name)
		}
	}
}

func TestResourcesEqualTheRecordedOnes(t *testing.T) {
	for _, name := range []string{"sidecar-tcp", "sidecar-http", "sidecar-tcp-intentions", "default-deny-acl", "sidecar-grpc-http2", "upstream-config"} {
		t.Run(name, func(t *testing.T) {
			r := build(t, scenario(t, name))
			clusters := recorded(t, name, "clusters", func() proto.Message { return new(clusterv3.Cluster) })
			for _, c := range clusters {
				toSecrets(t, c.(*clusterv3.Cluster).TransportSocket)
			}
			compare(t, "cluster", clusters, generated(t, r, xds.TypeCluster))
			compare(t, "endpoints", recorded(t, name, "endpoints", func() proto.Message { return new(endpointv3.ClusterLoadAssignment) }),
				generated(t, r, xds.TypeEndpoint))
			listeners := recorded(t, name, "listeners", func() proto.Message { return new(listenerv3.Listener) })
			got := generated(t, r, xds.TypeListener)
			for _, l := range listeners {
				l := l.(*listenerv3.Listener)
				takeRBAC(t, l)
				for _, chain := range l.FilterChains {
					toSecrets(t, chain.TransportSocket)
				}
			}
			for _, l := range got {
				takeRBAC(t, l.(*listenerv3.Listener))
			}
			compare(t, "listener", listeners, got)
		})
	}
}
