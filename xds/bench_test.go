package xds_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/xds"
	"github.com/lictor-mesh/lictor/xds/adstest"
)

const (
	benchStreams   = 1000
	benchConns     = 10
	benchInstances = 100
)

func manyInstances(weight int) []*model.Instance {
	var out []*model.Instance
	for i := range benchInstances {
		in := instance(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), 20000, model.StatusPassing)
		in.Service.Weights = model.Weights{Passing: weight, Warning: 1}
		out = append(out, in)
	}
	return out
}

// benchClient subscribes to the endpoints and answers everything; got counts responses with resources.
func benchClient(ctx context.Context, b *testing.B, conn *grpc.ClientConn, id string, got *sync.WaitGroup) {
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		b.Error(err)
		return
	}
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: id}, TypeUrl: adstest.Endpoints, ResourceNamesSubscribe: []string{dbCluster}})
	for {
		resp, err := stream.Recv()
		if err != nil {
			return
		}
		_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce})
		got.Done()
	}
}

// BenchmarkFanOut is one change of a service of 100 instances to 1,000 streams, until the last has it. Both
// ends are in this process.
func BenchmarkFanOut(b *testing.B) {
	f := newFeed()
	s := xds.NewServer(xds.Config{Source: f, Logger: hclog.NewNullLogger()})
	g := grpc.NewServer(xds.ServerOptions()...)
	s.Register(g)
	l := bufconn.Listen(1 << 20)
	go func() { _ = g.Serve(l) }()
	defer g.Stop()
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	base := sidecar(nil)
	publish := func(weight int) {
		u := upstream("db")
		with(b, base, u, manyInstances(weight))
		u = base.Upstreams[0]
		base.Upstreams = nil
		for i := range benchStreams {
			snapshot := *base
			snapshot.Upstreams = []xds.Upstream{{As: benchUpstream, Endpoints: u.Endpoints}}
			f.set(model.ServiceID(fmt.Sprint(i)), &snapshot, nil)
		}
	}
	var got sync.WaitGroup
	got.Add(benchStreams)
	publish(1)
	for c := range benchConns {
		conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		for i := range benchStreams / benchConns {
			go benchClient(ctx, b, conn, fmt.Sprint(c*benchStreams/benchConns+i), &got)
		}
	}
	got.Wait()
	weight := 1
	for b.Loop() {
		weight++
		got.Add(benchStreams)
		publish(weight)
		got.Wait()
	}
}

var benchUpstream = &model.Upstream{DestinationName: "db", LocalBindPort: 9191}

func BenchmarkBuild(b *testing.B) {
	for b.Loop() {
		if _, err := xds.Build(scenario(b, "upstream-config"), nil); err != nil {
			b.Fatal(err)
		}
	}
}
