package resource_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// FuzzDecode feeds bytes to each decoder: none may panic, and what is taken keeps the promises of its struct.
func FuzzDecode(f *testing.F) {
	seed := f
	ca := meshtest.NewCA(f, trustDomain)
	for _, scenario := range []string{"sidecar-tcp-intentions", "sidecar-http"} {
		recorded(seed, ca, scenario, "listeners", func(_ string, body []byte) {
			var m listenerv3.Listener
			parse(seed, body, &m)
			b, _ := proto.Marshal(&m)
			f.Add(b)
		})
		recorded(seed, ca, scenario, "clusters", func(_ string, body []byte) {
			var m clusterv3.Cluster
			parse(seed, body, &m)
			b, _ := proto.Marshal(&m)
			f.Add(b)
		})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var listener listenerv3.Listener
		if proto.Unmarshal(b, &listener) == nil {
			if l, err := resource.DecodeListener(&listener); err == nil {
				if l.Cluster == "" && l.Route == "" || l.TLS == nil && len(l.Authorization) > 0 {
					t.Errorf("taken: %+v", l)
				}
				rbac.NewAuthorizer(l.Authorization).Decide("spiffe://a/b")
			}
		}
		var cluster clusterv3.Cluster
		if proto.Unmarshal(b, &cluster) == nil {
			if c, err := resource.DecodeCluster(&cluster); err == nil {
				if c.ConnectTimeout <= 0 || c.TLS != nil && len(c.TLS.Expected) == 0 || c.EndpointsName != "" && c.TLS == nil {
					t.Errorf("taken: %+v", c)
				}
			}
		}
		var endpoints endpointv3.ClusterLoadAssignment
		if proto.Unmarshal(b, &endpoints) == nil {
			_, _ = resource.DecodeEndpoints(&endpoints)
		}
		var route routev3.RouteConfiguration
		if proto.Unmarshal(b, &route) == nil {
			if r, err := resource.DecodeRoute(&route); err == nil && r.Cluster == "" {
				t.Errorf("taken: %+v", r)
			}
		}
		var secret tlsv3.Secret
		if proto.Unmarshal(b, &secret) == nil {
			_, _ = resource.DecodeSecret(&secret)
		}
	})
}
