package xds_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
	"github.com/lictor-mesh/lictor/xds/adstest"
)

const dbCluster = "db.default.dc1.internal." + uuid + ".consul"

// connect opens a following client; at the end of the test it must not have seen a breach of the protocol.
func connect(t *testing.T, conn *grpc.ClientConn, o adstest.Options) *adstest.Client {
	t.Helper()
	if o.Node == "" {
		o.Node = proxyID
	}
	c, err := adstest.Open(deadline(t), conn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		for _, f := range c.Faults() {
			t.Errorf("protocol: %v", f)
		}
	})
	return c
}

func waitFor(t *testing.T, c *adstest.Client, what string, cond func() bool) {
	t.Helper()
	if err := c.Wait(deadline(t), cond); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// since returns the events after the first n.
func since(c *adstest.Client, n int) []adstest.Event { return c.Events()[n:] }

// settle waits until a marker resource proves that all earlier pushes have arrived: the server answers a
// request for a secret that does not exist.
func settle(t *testing.T, c *adstest.Client) int {
	t.Helper()
	n := len(c.Events())
	if err := c.Subscribe(adstest.Routes, "marker"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, "marker", func() bool {
		return slices.ContainsFunc(since(c, n), func(e adstest.Event) bool { return slices.Contains(e.Removed, "marker") })
	})
	return len(c.Events())
}

func TestProxyIsToldEverythingInOrder(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{Token: "secret-token"})
	waitFor(t, c, "complete configuration", c.Ready)
	var order []string
	for _, e := range c.Events() {
		order = append(order, e.Type)
	}
	if first, last := order[0], slices.Index(order, adstest.Listeners); first != adstest.Clusters || last < slices.Index(order, adstest.Endpoints) {
		t.Errorf("order of types: %v", order)
	}
	if got := f.tokens[0].Reveal(); got != "secret-token" {
		t.Errorf("token %q reached the source", got)
	}
}

func TestUnregisteredProxyIsSilentThenServed(t *testing.T) {
	f := newFeed()
	var log logged
	s, conn := serve(t, xds.Config{Source: f, Logger: log.logger()})
	c := connect(t, conn, adstest.Options{})
	eventually(t, "the stream is known", func() bool { return len(s.Status(proxyID)) == 1 })
	f.set(proxyID, nil, nil) // something moved, but the proxy is still not there
	if err := c.Subscribe(adstest.Secrets, "roots"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "requests were taken", func() bool { return len(s.Status(proxyID)[0].Types) == 3 })
	if st := s.Status(proxyID)[0]; !st.Waiting || len(c.Events()) != 0 {
		t.Fatalf("waiting %v, responses %v", st.Waiting, c.Events())
	}
	eventually(t, "a wait that lasts is logged", func() bool { return log.count("xDS stream waits") == 1 })
	f.set(proxyID, tcpSidecar(t), nil)
	waitFor(t, c, "configuration after registration", c.Ready)
	if n := log.count("xDS stream waits"); n != 1 {
		t.Errorf("the wait was logged %d times", n)
	}
}

func TestUnchangedResourcesAreNotSentOnResume(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	initial := make(map[string]map[string]string)
	for _, url := range []string{adstest.Clusters, adstest.Endpoints, adstest.Listeners, adstest.Secrets} {
		initial[url] = c.Versions(url)
	}
	c.Close()
	initial[adstest.Endpoints] = maps.Clone(initial[adstest.Endpoints])
	initial[adstest.Endpoints][dbCluster] = "older"
	again := connect(t, conn, adstest.Options{Initial: initial, Passive: true})
	for url, versions := range initial {
		names := slices.Collect(maps.Keys(versions))
		if url == adstest.Clusters || url == adstest.Listeners {
			names = nil
		}
		if err := again.Subscribe(url, names...); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, again)
	var sent []string
	for _, e := range again.Events() {
		sent = append(sent, e.Names...)
	}
	if !slices.Equal(sent, []string{dbCluster}) {
		t.Errorf("sent on resume: %v, want only the one resource of an older version", sent)
	}
}

func TestResumeDropsWhatIsGone(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{Initial: map[string]map[string]string{adstest.Clusters: {"gone": "v"}}})
	waitFor(t, c, "complete configuration", c.Ready)
	waitFor(t, c, "removal", func() bool {
		return slices.ContainsFunc(c.Events(), func(e adstest.Event) bool { return slices.Contains(e.Removed, "gone") })
	})
}

func TestCertificateRotationTouchesSecretsOnly(t *testing.T) {
	f := newFeed()
	first := tcpSidecar(t)
	f.set(proxyID, first, nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	n := settle(t, c)
	rotated := *first
	rotated.Leaf = leaf("02")
	rotated.Roots = roots()
	rotated.Roots.Roots = append(rotated.Roots.Roots, &model.CARoot{ID: "bb", RootCert: "root two\n"})
	f.set(proxyID, &rotated, nil)
	waitFor(t, c, "new secrets", func() bool { return len(since(c, n)) > 0 })
	settle2 := since(c, n)[0]
	if settle2.Type != adstest.Secrets || !sameSet(settle2.Names, []string{"leaf:web", "roots"}) || len(since(c, n)) != 1 {
		t.Fatalf("pushed by a rotation: %v", since(c, n))
	}
	before, after := build(t, first), build(t, &rotated)
	for _, kind := range []xds.Type{xds.TypeCluster, xds.TypeListener, xds.TypeEndpoint} {
		for i, r := range before.List(kind) {
			if string(r.Body.Value) != string(after.List(kind)[i].Body.Value) {
				t.Errorf("%s %q changed its bytes", kind, r.Name)
			}
		}
	}
}

func TestEndpointChangePushesThatResourceOnly(t *testing.T) {
	f := newFeed()
	first := tcpSidecar(t)
	f.set(proxyID, first, nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	n := settle(t, c)
	f.set(proxyID, first, nil) // superseded by an equal one
	next := *first
	next.Upstreams = nil
	u := first.Upstreams[0]
	with(t, &next, u, dbInstances[1:])
	f.set(proxyID, &next, nil)
	waitFor(t, c, "new endpoints", func() bool { return len(since(c, n)) > 0 })
	settle(t, c)
	if e := since(c, n)[0]; e.Type != adstest.Endpoints || !slices.Equal(e.Names, []string{dbCluster}) || len(since(c, n)) != 2 {
		t.Fatalf("pushed: %v", since(c, n))
	}
}

// twoUpstreams is the sidecar with another upstream beside db.
func twoUpstreams(t *testing.T) *xds.Snapshot {
	s := tcpSidecar(t)
	u := xds.Upstream{As: &model.Upstream{DestinationName: "cache", LocalBindPort: 9292}}
	with(t, s, u, []*model.Instance{instance("10.0.0.9", 20000, model.StatusPassing)})
	return s
}

func TestUpstreamIsMadeBeforeAndRemovedAfterItsUse(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	n := len(c.Events())
	f.set(proxyID, twoUpstreams(t), nil)
	waitFor(t, c, "new listener", func() bool { return c.Get(adstest.Listeners, "cache:127.0.0.1:9292") != nil })
	var types []string
	for _, e := range since(c, n) {
		types = append(types, e.Type)
	}
	if !slices.Equal(types, []string{adstest.Clusters, adstest.Endpoints, adstest.Listeners}) {
		t.Errorf("order of making: %v", types)
	}
	n = len(c.Events())
	f.set(proxyID, tcpSidecar(t), nil)
	waitFor(t, c, "cluster gone", func() bool { return len(c.Versions(adstest.Clusters)) == 2 })
	events := since(c, n)
	if len(events) < 2 || !slices.Equal(events[0].Removed, []string{"cache:127.0.0.1:9292"}) || events[1].Type != adstest.Clusters {
		t.Errorf("order of removal: %v", events)
	}
}

func TestNACKIsVisibleAndHoldsNothingBack(t *testing.T) {
	f := newFeed()
	first := tcpSidecar(t)
	f.set(proxyID, first, nil)
	var log logged
	s, conn := serve(t, xds.Config{Source: f, Logger: log.logger()})
	refuse := func(r *discoveryv3.DeltaDiscoveryResponse) string {
		if r.TypeUrl == adstest.Clusters && len(r.Resources) > 0 {
			return "cluster is no good"
		}
		return ""
	}
	c, err := adstest.Open(deadline(t), conn, adstest.Options{Node: proxyID, Refuse: refuse})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, "listeners in spite of the NACK", func() bool { return len(c.Versions(adstest.Listeners)) == 2 })
	visible := func() *xds.NACK {
		all := s.Status(proxyID)
		if len(all) != 1 {
			return nil
		}
		return all[0].LastNACK
	}
	nack := visible()
	if nack == nil || nack.Type != xds.TypeCluster || nack.Reason != "cluster is no good" || !slices.Contains(nack.Names, dbCluster) {
		t.Fatalf("visible: %+v", nack)
	}
	if log.count("cluster is no good") != 1 {
		t.Error("the reason was not logged once")
	}
	denied := *first
	denied.Intentions = intentions(rule("bad", "web", "deny"))
	before := c.Versions(adstest.Listeners)
	f.set(proxyID, &denied, nil)
	waitFor(t, c, "a new intention", func() bool { return !maps.Equal(before, c.Versions(adstest.Listeners)) })
	c.Close()
	eventually(t, "the stream has ended", func() bool { all := s.Status(proxyID); return len(all) == 1 && !all[0].Connected })
	if nack := visible(); nack == nil || nack.Reason != "cluster is no good" {
		t.Errorf("after the stream ended: %+v", nack)
	}
	connect(t, conn, adstest.Options{})
	eventually(t, "the new stream shows the former NACK", func() bool {
		all := s.Status(proxyID)
		return len(all) == 1 && all[0].Connected && all[0].LastNACK != nil
	})
}

func TestDeregisteredProxyKeepsItsState(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	n := settle(t, c)
	f.set(proxyID, nil, nil)
	f.set(proxyID, tcpSidecar(t), nil)
	if settle(t, c) != n+1 {
		t.Fatalf("pushed by an absence: %v", since(c, n))
	}
}

func TestResubscribedResourceIsSentAgain(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	n := len(c.Events())
	if err := c.Subscribe(adstest.Endpoints, dbCluster); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, "endpoints again", func() bool {
		return slices.ContainsFunc(since(c, n), func(e adstest.Event) bool { return slices.Contains(e.Names, dbCluster) })
	})
}

func TestRefusedStreamsEndWithTheirReason(t *testing.T) {
	for _, k := range []struct {
		err  error
		want codes.Code
	}{
		{errNoRight, codes.PermissionDenied},
		{fault.New(fault.NotFound, "ACL not found"), codes.Unauthenticated},
		{fault.New(fault.Unavailable, "no server"), codes.Unavailable},
	} {
		f := newFeed()
		f.refusal = k.err
		_, conn := serve(t, xds.Config{Source: f})
		c := connect(t, conn, adstest.Options{})
		err := c.Wait(deadline(t), func() bool { return false })
		if got := status.Code(c.Err()); got != k.want {
			t.Errorf("%v: ended with %v (%v)", k.err, got, err)
		}
	}
}

func TestWithdrawnRightEndsTheStream(t *testing.T) {
	f := newFeed()
	f.set(proxyID, tcpSidecar(t), nil)
	_, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	waitFor(t, c, "complete configuration", c.Ready)
	f.set(proxyID, nil, errNoRight)
	_ = c.Wait(deadline(t), func() bool { return false })
	if got := status.Code(c.Err()); got != codes.PermissionDenied {
		t.Errorf("ended with %v", got)
	}
}

func TestStateOfTheWorldIsUnimplemented(t *testing.T) {
	_, conn := serve(t, xds.Config{Source: newFeed()})
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("answer: %v", err)
	}
}

func TestNamelessProxyIsRefused(t *testing.T) {
	_, conn := serve(t, xds.Config{Source: newFeed()})
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: adstest.Clusters})
	if _, err = stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("answer: %v", err)
	}
}

func TestStreamsBeyondTheLimitAreRefused(t *testing.T) {
	f := newFeed()
	s, conn := serve(t, xds.Config{Source: f, MaxStreams: 1})
	connect(t, conn, adstest.Options{})
	eventually(t, "the first stream is known", func() bool { return len(s.Statuses()) == 1 })
	second := connect(t, conn, adstest.Options{})
	_ = second.Wait(deadline(t), func() bool { return false })
	if got := status.Code(second.Err()); got != codes.ResourceExhausted {
		t.Errorf("ended with %v", got)
	}
}

func TestCloseEndsStreams(t *testing.T) {
	f := newFeed()
	s, conn := serve(t, xds.Config{Source: f})
	c := connect(t, conn, adstest.Options{})
	eventually(t, "the stream is known", func() bool { return len(s.Statuses()) == 1 })
	s.Close()
	_ = c.Wait(context.Background(), func() bool { return false })
	if got := status.Code(c.Err()); got != codes.Unavailable {
		t.Errorf("ended with %v", got)
	}
}

func TestConnectedProxiesAreServedWhileFirstResponsesQueue(t *testing.T) {
	f := newFeed()
	first := tcpSidecar(t)
	f.set(proxyID, first, nil)
	f.set("late", first, nil)
	s, conn := serve(t, xds.Config{Source: f, FirstResponses: 1})
	connected := connect(t, conn, adstest.Options{})
	waitFor(t, connected, "complete configuration", connected.Ready)
	release := s.HoldFirst()
	late := connect(t, conn, adstest.Options{Node: "late"})
	eventually(t, "the late stream is known", func() bool { return len(s.Status("late")) == 1 })
	version := connected.Versions(adstest.Endpoints)[dbCluster]
	f.set(proxyID, dbDown(t, first), nil)
	waitFor(t, connected, "a delta", func() bool { return connected.Versions(adstest.Endpoints)[dbCluster] != version })
	if n := len(late.Events()); n != 0 {
		t.Errorf("the late stream got %d responses before its turn", n)
	}
	release()
	waitFor(t, late, "its first responses", late.Ready)
}

func TestEveryScenarioIsServedByTheRules(t *testing.T) {
	for _, name := range everyScenario {
		t.Run(name, func(t *testing.T) {
			f := newFeed()
			s := scenario(t, name)
			f.set(proxyID, s, nil)
			_, conn := serve(t, xds.Config{Source: f, OrderWait: time.Hour})
			c := connect(t, conn, adstest.Options{})
			waitFor(t, c, "all listeners", func() bool { return len(c.Versions(adstest.Listeners)) == 1+len(s.Upstreams) })
			waitFor(t, c, "secrets", func() bool { return len(c.Versions(adstest.Secrets)) == 2 })
		})
	}
}
