package xds_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
	"github.com/lictor-mesh/lictor/xds/adstest"
)

var dbAddr = netip.MustParseAddrPort("10.0.0.1:20000")

// dbDown is the sidecar's snapshot once the endpoint 10.0.0.1 of db is unhealthy.
func dbDown(t *testing.T, s *xds.Snapshot) *xds.Snapshot {
	next := *s
	next.Upstreams = nil
	u := s.Upstreams[0]
	with(t, &next, u, []*model.Instance{instance("10.0.0.1", 20000, model.StatusCritical), instance("10.0.0.3", 20000, model.StatusPassing)})
	return &next
}

// released runs EndpointsReleased and returns a channel with its outcome.
func released(t *testing.T, s *xds.Server, service model.ServiceName, addr netip.AddrPort) <-chan error {
	out := make(chan error, 1)
	ctx := deadline(t)
	go func() {
		_, err := s.EndpointsReleased(ctx, service, addr)
		out <- err
	}()
	return out
}

func TestEndpointIsReleasedWhenEverySubscriberAcceptedItsAbsence(t *testing.T) {
	f := newFeed()
	first := tcpSidecar(t)
	f.set("a", first, nil)
	f.set("b", first, nil)
	s, conn := serve(t, xds.Config{Source: f})
	hold := make(chan struct{})
	holding := func(r *discoveryv3.DeltaDiscoveryResponse) bool {
		select {
		case <-hold:
			return r.TypeUrl == adstest.Endpoints
		default:
			return false
		}
	}
	a := connect(t, conn, adstest.Options{Node: "a"})
	b := connect(t, conn, adstest.Options{Node: "b", Hold: holding})
	waitFor(t, a, "a complete", a.Ready)
	waitFor(t, b, "b complete", b.Ready)
	close(hold)
	done := released(t, s, "db", dbAddr)
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if n, err := s.EndpointsReleased(short, "db", dbAddr); n != 2 || !fault.Is(err, fault.Unavailable) {
		t.Fatalf("before the change %d streams hold the endpoint (%v), want 2", n, err)
	}
	version := b.Versions(adstest.Endpoints)[dbCluster]
	f.set("a", dbDown(t, first), nil)
	f.set("b", dbDown(t, first), nil)
	waitFor(t, b, "b was told", func() bool { return b.Versions(adstest.Endpoints)[dbCluster] != version })
	select {
	case err := <-done:
		t.Fatalf("released before b accepted: %v", err)
	case <-time.After(20 * time.Millisecond): // a negative: long enough for a wrong release to show
	}
	if err := b.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestEndpointIsReleasedByTheEndOfAStream(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	s, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	eventually(t, "endpoints are held", func() bool {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		n, _ := s.EndpointsReleased(ctx, "db", dbAddr)
		return n == 1
	})
	done := released(t, s, "db", dbAddr)
	c.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestEndpointNobodyHoldsIsReleasedAtOnce(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	s, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	for _, other := range []struct {
		service model.ServiceName
		addr    netip.AddrPort
	}{{"db", netip.MustParseAddrPort("10.0.0.2:20000")}, {"cache", dbAddr}, {"d", dbAddr}} {
		if _, err := s.EndpointsReleased(deadline(t), other.service, other.addr); err != nil {
			t.Errorf("%v: %v", other, err)
		}
	}
}

func TestResumedStreamHoldsWhatItsVersionOffers(t *testing.T) {
	f := newFeed()
	first := tcpSidecar(t)
	f.set(proxyID, first, nil)
	s, conn := serve(t, xds.Config{Source: f})
	version := first.Upstreams[0].Endpoints.Resource().Version
	c := connect(t, conn, adstest.Options{Initial: map[string]map[string]string{adstest.Endpoints: {dbCluster: version}}, Passive: true})
	if err := c.Subscribe(adstest.Endpoints, dbCluster); err != nil {
		t.Fatal(err)
	}
	settle(t, c)
	if _, err := s.EndpointsReleased(deadline(t), "db", netip.MustParseAddrPort("10.0.0.2:20000")); err != nil {
		t.Errorf("an endpoint that the resumed version has unhealthy: %v", err)
	}
	done := released(t, s, "db", dbAddr)
	f.set(proxyID, dbDown(t, first), nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
