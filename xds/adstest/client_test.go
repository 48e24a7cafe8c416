package adstest_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lictor-mesh/lictor/xds/adstest"
)

// script is a server that says what it is told to, whatever is asked.
type script struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	lines []*discoveryv3.DeltaDiscoveryResponse
}

func (s script) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	for range 2 { // both subscriptions of the client
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
	for _, line := range s.lines {
		if err := stream.Send(line); err != nil {
			return err
		}
	}
	return nil
}

func resource(t *testing.T, name, version string, m proto.Message) *discoveryv3.Resource {
	body, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return &discoveryv3.Resource{Name: name, Version: version, Resource: body}
}

func say(url, nonce string, removed []string, resources ...*discoveryv3.Resource) *discoveryv3.DeltaDiscoveryResponse {
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: nonce, Resources: resources, RemovedResources: removed}
}

func TestEveryBreachOfTheProtocolIsRecorded(t *testing.T) {
	cluster := func(name, version string) *discoveryv3.Resource {
		return resource(t, name, version, &clusterv3.Cluster{Name: name})
	}
	tcp, err := anypb.New(&tcpv3.TcpProxy{StatPrefix: "x", ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	listener := resource(t, "l", "1", &listenerv3.Listener{Name: "l", FilterChains: []*listenerv3.FilterChain{{
		Filters: []*listenerv3.Filter{{Name: "tcp", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: tcp}}}}}})
	for name, c := range map[string]struct {
		lines []*discoveryv3.DeltaDiscoveryResponse
		want  string
	}{
		"nonce used twice": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", nil, cluster("a", "1")),
			say(adstest.Clusters, "1", nil, cluster("b", "1"))}, "was used before"},
		"no nonce":  {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "", nil, cluster("a", "1"))}, "is empty"},
		"not asked": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Secrets, "1", nil)}, "was not asked for"},
		"sent again": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", nil, cluster("a", "1")),
			say(adstest.Clusters, "2", nil, cluster("a", "1"))}, "sent again unchanged"},
		"version of equal bytes": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", nil, cluster("a", "1")),
			say(adstest.Clusters, "2", nil, cluster("a", "2"))}, "the same bytes"},
		"removed unheard of": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", []string{"z"})}, "never sent"},
		"break before make":  {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Listeners, "1", nil, listener)}, "came before cluster"},
		"removed in use": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", nil, cluster("a", "1")),
			say(adstest.Listeners, "2", nil, listener), say(adstest.Clusters, "3", []string{"a"})}, "refers to it"},
		"another name":  {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", nil, resource(t, "b", "1", &clusterv3.Cluster{Name: "a"}))}, "calls itself"},
		"invalid":       {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Listeners, "1", nil, resource(t, "", "1", &clusterv3.Cluster{}))}, "is of type"},
		"breaks a rule": {[]*discoveryv3.DeltaDiscoveryResponse{say(adstest.Clusters, "1", nil, cluster("", "1"))}, "value length must be at least"},
	} {
		var all []string
		for _, f := range play(t, c.lines) {
			all = append(all, f.Error())
		}
		if !strings.Contains(strings.Join(all, "\n"), c.want) {
			t.Errorf("%s: recorded %q, want %q", name, all, c.want)
		}
	}
}

// play has a client hear the lines and returns what it objects to.
func play(t *testing.T, lines []*discoveryv3.DeltaDiscoveryResponse) []error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	g := grpc.NewServer()
	defer g.Stop()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, script{lines: lines})
	l := bufconn.Listen(1 << 16)
	go func() { _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := adstest.Open(ctx, conn, adstest.Options{Node: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.Wait(ctx, func() bool { return false }) // until the script has ended
	return c.Faults()
}
