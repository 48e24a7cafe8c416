package resource_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	// Types that recorded resources carry, for protojson to resolve them.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

// recorded reads one file of a recorded scenario, with real certificates in place of its placeholders.
func recorded(t testing.TB, ca *meshtest.CA, scenario, kind string, each func(name string, body []byte)) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", scenario, kind+".json"))
	if err != nil {
		t.Fatal(err)
	}
	chain, key := ca.Leaf(t, ca.ID("web"))
	quoted := func(b []byte) string { q, _ := json.Marshal(string(b)); return string(q) }
	s := string(text)
	for _, x := range []struct{ field, value string }{{"certificate_chain", quoted(chain)}, {"private_key", quoted(key)}, {"trusted_ca", quoted(ca.PEM)}} {
		for _, placeholder := range []string{`"<pem>"`, `"<pem><pem>"`} {
			s = replaceAfter(s, x.field, placeholder, x.value)
		}
	}
	s = strings.NewReplacer("<uuid:a>", strings.TrimSuffix(trustDomain, ".consul"), `"<duration>"`, `"5s"`, "<port:backend>", "1", `"<port>"`, "1").Replace(s)
	var all []struct {
		Name     string
		Resource json.RawMessage
	}
	if err := json.Unmarshal([]byte(s), &all); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		each(r.Name, r.Resource)
	}
}

// replaceAfter puts value in place of each placeholder that follows the field within its object.
func replaceAfter(s, field, placeholder, value string) string {
	parts := strings.Split(s, `"`+field+`": {`)
	for i := 1; i < len(parts); i++ {
		end := strings.Index(parts[i], "}")
		parts[i] = strings.Replace(parts[i][:end], placeholder, value, 1) + parts[i][end:]
	}
	return strings.Join(parts, `"`+field+`": {`)
}

func parse(t testing.TB, body []byte, m proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal(body, m); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
}

func TestRecordedSidecarsAreTaken(t *testing.T) {
	ca := meshtest.NewCA(t, trustDomain)
	for _, scenario := range []string{"sidecar-tcp", "sidecar-tcp-intentions", "sidecar-http", "default-deny-acl", "sidecar-grpc-http2", "upstream-config"} {
		t.Run(scenario, func(t *testing.T) {
			recorded(t, ca, scenario, "listeners", func(name string, body []byte) {
				var m listenerv3.Listener
				parse(t, body, &m)
				l, err := resource.DecodeListener(&m)
				if err != nil {
					t.Fatal(err)
				}
				if l.Name != name || l.Cluster == "" || l.Inbound() != strings.HasPrefix(name, "public_listener") {
					t.Errorf("%+v", l)
				}
			})
			recorded(t, ca, scenario, "clusters", func(name string, body []byte) {
				var m clusterv3.Cluster
				parse(t, body, &m)
				c, err := resource.DecodeCluster(&m)
				if err != nil {
					t.Fatal(err)
				}
				if local := name == "local_app"; local != (c.TLS == nil) || local != (len(c.Static) == 1) || local == (c.EndpointsName == name) {
					t.Errorf("%+v", c)
				}
			})
			recorded(t, ca, scenario, "endpoints", func(_ string, body []byte) {
				var m endpointv3.ClusterLoadAssignment
				parse(t, body, &m)
				if _, err := resource.DecodeEndpoints(&m); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestRecordedIntentionsDecideAsWritten(t *testing.T) {
	ca := meshtest.NewCA(t, trustDomain)
	for scenario, want := range map[string]map[string]bool{
		"sidecar-tcp":            {"api": true, "bad": true, "other": true},
		"sidecar-tcp-intentions": {"api": true, "bad": false, "other": false},
		"default-deny-acl":       {"api": true, "bad": false, "other": false},
	} {
		recorded(t, ca, scenario, "listeners", func(name string, body []byte) {
			var m listenerv3.Listener
			parse(t, body, &m)
			l, err := resource.DecodeListener(&m)
			if err != nil || !l.Inbound() {
				return
			}
			auth := rbac.NewAuthorizer(l.Authorization)
			for service, allowed := range want {
				if got := auth.Decide(ca.ID(service)); got.Allowed != allowed {
					t.Errorf("%s: %s: %+v", scenario, service, got)
				}
			}
		})
	}
}

func TestRecordedHealthDecidesWhoIsPicked(t *testing.T) {
	recorded(t, meshtest.NewCA(t, trustDomain), "sidecar-tcp", "endpoints", func(_ string, body []byte) {
		var m endpointv3.ClusterLoadAssignment
		parse(t, body, &m)
		e, err := resource.DecodeEndpoints(&m)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Members) != 2 || e.Members[0].Health != balance.Healthy || e.Members[1].Health != balance.Unhealthy {
			t.Errorf("%+v", e.Members)
		}
	})
}

func TestRecordedResourcesThatNeedHTTPAreRefusedByName(t *testing.T) {
	ca := meshtest.NewCA(t, trustDomain)
	for scenario, want := range map[string]string{
		"sidecar-http-l7-intentions": "no permission but any",
		"jwt-intentions":             "jwt_authn",
		"extensions-lua-authz":       "this proxy has no filter",
		"expose-checks-metrics":      "",
	} {
		var refused []string
		recorded(t, ca, scenario, "listeners", func(_ string, body []byte) {
			var m listenerv3.Listener
			parse(t, body, &m)
			if _, err := resource.DecodeListener(&m); err != nil {
				refused = append(refused, err.Error())
			}
		})
		if len(refused) == 0 || !strings.Contains(strings.Join(refused, "\n"), want) {
			t.Errorf("%s: refused for %q, want %q", scenario, refused, want)
		}
	}
}
