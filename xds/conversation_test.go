package xds

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"pgregory.net/rapid"
)

// world is a set of resources made up for the protocol alone: listeners "l<n>" refer to clusters "c<n>",
// which refer to endpoints "e<n>".
func world(alive map[int]int) *Resources {
	r := new(Resources)
	var lists [numTypes][]*Resource
	for n, version := range alive {
		for t, prefix := range map[Type]string{TypeCluster: "c", TypeEndpoint: "e", TypeListener: "l"} {
			lists[t] = append(lists[t], fake(fmt.Sprintf("%s%d", prefix, n), version))
		}
		r.discovered = append(r.discovered, fmt.Sprintf("e%d", n))
	}
	for t := range numTypes {
		r.sets[t] = newSet(lists[t])
	}
	return r
}

func fake(name string, version int) *Resource {
	r := &Resource{Name: name, Version: fmt.Sprint(version), Body: &anypb.Any{Value: []byte(name)}}
	r.wire = &discoveryv3.Resource{Name: name, Version: r.Version, Resource: r.Body}
	return r
}

// client is the obvious client: it applies what it accepts, checks references, and asks for the endpoints of
// the clusters that it has.
type client struct {
	t     *rapid.T
	talk  *conversation
	has   [numTypes]map[string]string
	names map[string]bool // endpoints asked for
	unans []*discoveryv3.DeltaDiscoveryResponse
}

func newClient(t *rapid.T, talk *conversation) *client {
	k := &client{t: t, talk: talk, names: make(map[string]bool)}
	for i := range k.has {
		k.has[i] = make(map[string]string)
	}
	k.ask(TypeCluster, new(discoveryv3.DeltaDiscoveryRequest))
	k.ask(TypeListener, new(discoveryv3.DeltaDiscoveryRequest))
	return k
}

func (k *client) ask(t Type, req *discoveryv3.DeltaDiscoveryRequest) {
	if _, _, err := k.talk.request(t, req, time.Unix(0, 0)); err != nil {
		k.t.Fatal(err)
	}
}

// follow keeps the subscription to endpoints equal to the clusters.
func (k *client) follow() {
	req := new(discoveryv3.DeltaDiscoveryRequest)
	for name := range k.has[TypeCluster] {
		if e := "e" + name[1:]; !k.names[e] {
			k.names[e] = true
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, e)
		}
	}
	for e := range k.names {
		if k.has[TypeCluster]["c"+e[1:]] == "" {
			delete(k.names, e)
			delete(k.has[TypeEndpoint], e)
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, e)
		}
	}
	if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) > 0 {
		k.ask(TypeEndpoint, req)
	}
}

// flush receives all that the server has to say.
func (k *client) flush() {
	for resp, _ := k.talk.next(time.Unix(0, 0)); resp != nil; resp, _ = k.talk.next(time.Unix(0, 0)) {
		k.receive(resp)
	}
}

// accept answers one of the responses that await it.
func (k *client) accept(i int) {
	resp := k.unans[i]
	k.unans = slices.Delete(k.unans, i, i+1)
	t, _ := typeOf(resp.TypeUrl)
	k.ask(t, &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: resp.Nonce})
	k.follow()
}

func (k *client) receive(resp *discoveryv3.DeltaDiscoveryResponse) {
	t, _ := typeOf(resp.TypeUrl)
	for _, r := range resp.Resources {
		if t == TypeListener && k.has[TypeCluster]["c"+r.Name[1:]] == "" {
			k.t.Fatalf("listener %s came before its cluster", r.Name)
		}
		if t == TypeEndpoint && !k.names[r.Name] {
			k.t.Fatalf("endpoints %s were not asked for", r.Name)
		}
		k.has[t][r.Name] = r.Version
	}
	for _, name := range resp.RemovedResources {
		if t == TypeCluster && k.has[TypeListener]["l"+name[1:]] != "" {
			k.t.Fatalf("cluster %s was removed before its listener", name)
		}
		if t == TypeEndpoint && k.has[TypeCluster]["c"+name[1:]] != "" && k.has[t][name] != "" {
			k.t.Fatalf("endpoints %s were removed before their cluster", name)
		}
		delete(k.has[t], name)
	}
	for _, u := range k.unans {
		if u.TypeUrl == resp.TypeUrl {
			k.t.Fatalf("two responses of %s without an answer", resp.TypeUrl)
		}
	}
	k.unans = append(k.unans, resp)
}

func TestConversationConvergesInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := newClient(rt, newConversation(bounds{names: 100, responseBytes: rapid.SampledFrom([]int{1, 5, 1 << 20}).Draw(rt, "bytes"),
			orderWait: time.Hour, ackWait: time.Hour}))
		alive := map[int]int{}
		k.talk.update(world(alive))
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				alive = rapid.MapOfN(rapid.IntRange(1, 4), rapid.IntRange(1, 3), 0, 4).Draw(rt, "world")
				k.talk.update(world(alive))
			case 1:
				if len(k.unans) > 0 {
					k.accept(rapid.IntRange(0, len(k.unans)-1).Draw(rt, "answered"))
				}
			}
			k.flush()
		}
		for k.flush(); len(k.unans) > 0; k.flush() {
			k.accept(0)
		}
		want := world(alive)
		for _, kind := range []Type{TypeCluster, TypeListener, TypeEndpoint} {
			have := make(map[string]string)
			for name, r := range want.sets[kind].byName {
				have[name] = r.Version
			}
			if !maps.Equal(have, k.has[kind]) {
				rt.Fatalf("%s: the client has %v, want %v", kind, k.has[kind], have)
			}
		}
	})
}

// started is a conversation with a client that asked for clusters and listeners.
func started(t *testing.T, b bounds) *conversation {
	c := newConversation(b)
	for _, kind := range []Type{TypeCluster, TypeListener} {
		if _, _, err := c.request(kind, new(discoveryv3.DeltaDiscoveryRequest), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func testBounds() bounds {
	return bounds{names: 10, responseBytes: 1 << 20, orderWait: time.Second, ackWait: 10 * time.Second}
}

func TestListenersWaitNoLongerThanTheBound(t *testing.T) {
	c := started(t, testBounds())
	c.update(world(map[int]int{1: 1}))
	now := time.Unix(100, 0)
	if resp, _ := c.next(now); resp.GetTypeUrl() != TypeCluster.URL() {
		t.Fatalf("first response: %v", resp)
	}
	resp, wake := c.next(now)
	if resp != nil || !wake.Equal(now.Add(time.Second)) {
		t.Fatalf("while clusters have no answer: %v, wake %v", resp, wake)
	}
	if resp, _ = c.next(wake); resp.GetTypeUrl() != TypeListener.URL() {
		t.Fatalf("after the bound: %v", resp)
	}
}

func TestUnansweredResponseHoldsTheNextBackForABoundedTime(t *testing.T) {
	c := started(t, testBounds())
	c.update(world(map[int]int{1: 1}))
	now := time.Unix(100, 0)
	first, _ := c.next(now)
	c.update(world(map[int]int{1: 2}))
	c.update(world(map[int]int{1: 3}))
	if resp, _ := c.next(now); resp != nil {
		t.Fatalf("a second response before the answer: %v", resp)
	}
	second, _ := c.next(now.Add(10 * time.Second))
	if second.GetTypeUrl() != TypeCluster.URL() || second.Resources[0].Version != "3" || second.Nonce == first.Nonce {
		t.Fatalf("after the bound: %v", second)
	}
	// The late answer to the first is not taken for one to the second.
	if _, ok, _ := c.request(TypeCluster, &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: first.Nonce}, now); ok {
		t.Fatal("a stale nonce was accepted")
	}
}

func TestRefusedResourcesGoAlongWithTheNextChange(t *testing.T) {
	c := started(t, testBounds())
	now := time.Unix(100, 0)
	c.update(world(map[int]int{1: 1, 2: 1}))
	first, _ := c.next(now)
	nack := &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: first.Nonce, ErrorDetail: &statuspb.Status{Message: "c1 is no good"}}
	a, ok, _ := c.request(TypeCluster, nack, now)
	if !ok || !a.nack || a.refusal != "c1 is no good" || !slices.Equal(a.names, []string{"c1", "c2"}) {
		t.Fatalf("answered: %+v", a)
	}
	for resp, _ := c.next(now); resp != nil; resp, _ = c.next(now) {
		if resp.TypeUrl == TypeCluster.URL() {
			t.Fatalf("a refused response was sent again: %v", resp)
		}
	}
	c.update(world(map[int]int{1: 2, 2: 1}))
	resp, _ := c.next(now)
	if resp.GetTypeUrl() != TypeCluster.URL() || len(resp.Resources) != 2 {
		t.Fatalf("after a change of one: %v", resp)
	}
}

func TestNameThatDoesNotExistIsAnsweredOnce(t *testing.T) {
	c := started(t, testBounds())
	c.update(world(nil))
	now := time.Unix(100, 0)
	if _, _, err := c.request(TypeEndpoint, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"e9"}}, now); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for resp, _ := c.next(now); resp != nil; resp, _ = c.next(now) {
		seen += len(resp.RemovedResources)
		kind, _ := typeOf(resp.TypeUrl)
		if _, _, err := c.request(kind, &discoveryv3.DeltaDiscoveryRequest{ResponseNonce: resp.Nonce}, now); err != nil {
			t.Fatal(err)
		}
	}
	if seen != 1 {
		t.Fatalf("answered %d times", seen)
	}
	c.update(world(map[int]int{9: 1}))
	if resp, _ := c.next(now); resp.GetTypeUrl() != TypeCluster.URL() {
		t.Fatalf("%v", resp)
	}
	if resp, _ := c.next(now); resp.GetTypeUrl() != TypeEndpoint.URL() || resp.Resources[0].Name != "e9" {
		t.Fatalf("once it exists: %v", resp)
	}
}

func TestEmptyWildcardIsGreeted(t *testing.T) {
	c := started(t, testBounds())
	c.update(world(nil))
	var kinds []string
	for resp, _ := c.next(time.Unix(1, 0)); resp != nil; resp, _ = c.next(time.Unix(1, 0)) {
		kinds = append(kinds, resp.TypeUrl)
	}
	if !slices.Contains(kinds, TypeCluster.URL()) {
		t.Fatalf("responses: %v", kinds)
	}
}

func TestTooManyNamesEndTheStream(t *testing.T) {
	c := started(t, testBounds())
	var names []string
	for i := range 11 {
		names = append(names, fmt.Sprint(i))
	}
	if _, _, err := c.request(TypeEndpoint, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: names}, time.Unix(1, 0)); err == nil {
		t.Fatal("accepted")
	}
}
