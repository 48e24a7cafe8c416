package rpc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// source is a handler's side of subscriptions, driven by the test.
type source struct {
	mu     sync.Mutex
	pushes map[string]func(Update)
	orders []Order
	ended  map[string]int
}

func newSource() *source {
	return &source{pushes: map[string]func(Update){}, ended: map[string]int{}}
}

func (s *source) subscribe(o *Order, push func(Update)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = append(s.orders, *o)
	if strings.HasPrefix(o.Read, "bad") {
		return nil, fault.New(fault.NotFound, "no read %s", o.Read)
	}
	s.pushes[o.Read] = push
	read := o.Read
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended[read]++
		delete(s.pushes, read)
	}, nil
}

func (s *source) push(t *testing.T, read string, index model.Index, body []byte) {
	t.Helper()
	var push func(Update)
	eventually(t, "there is a subscription to "+read, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		push = s.pushes[read]
		return push != nil
	})
	push(Update{Meta: model.ReadMeta{Index: index}, Body: body})
}

func (s *source) last(read string) (o Order, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.orders {
		if x.Read == read {
			o = x
			n++
		}
	}
	return o, n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

type delivered struct {
	query Query
	index model.Index
	body  string
	err   error
}

// feed runs a Feed whose deliveries go to the channel.
func feed(t *testing.T, out chan delivered, hosts ...string) (*Feed, *Servers) {
	t.Helper()
	pool := NewPool(PoolConfig{})
	servers := NewServers(func(int) int { return 0 })
	var list []ServerAddr
	for _, a := range hosts {
		list = append([]ServerAddr{{Addr: a}}, list...)
	}
	servers.Set(list)
	f := NewFeed(FeedConfig{
		Pool: pool, Servers: servers,
		Token:   func(q Query) model.Secret { return model.NewSecret("token of " + q.Rights) },
		Deliver: func(q Query, u *Update) { out <- delivered{q, u.Meta.Index, string(u.Body), u.Fault.Err()} },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		_ = pool.Close()
		<-done
	})
	return f, servers
}

func receive(t *testing.T, out <-chan delivered) delivered {
	t.Helper()
	select {
	case d := <-out:
		return d
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was delivered")
		return delivered{}
	}
}

func TestSubscriptionsDeliverEachChangeUntilTheyEnd(t *testing.T) {
	s := newSource()
	p := serve(t, ServerConfig{Handler: answers{subscribe: s.subscribe}})
	out := make(chan delivered, 10)
	f, _ := feed(t, out, p.addr)
	web, db := Query{Read: "web", Args: "x", Rights: "all"}, Query{Read: "db"}
	f.Subscribe(web, 5)
	f.Subscribe(web, 9) // it is subscribed already
	f.Subscribe(db, 0)
	s.push(t, "web", 6, []byte("six"))
	if d := receive(t, out); d.query != web || d.index != 6 || d.body != "six" {
		t.Errorf("%+v", d)
	}
	o, n := s.last("web")
	if n != 1 || o.Request.Meta.Read.MinIndex != 5 || string(o.Args) != "x" || o.Request.Model().Token.Reveal() != "token of all" {
		t.Errorf("%d orders, %+v", n, o)
	}
	s.push(t, "db", 7, nil)
	if d := receive(t, out); d.query != db || d.index != 7 || d.body != "" {
		t.Errorf("%+v", d)
	}
	f.Unsubscribe(web)
	eventually(t, "the server lets it go", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.ended["web"] == 1 })
	s.push(t, "db", 8, nil)
	if d := receive(t, out); d.query != db {
		t.Errorf("%+v", d)
	}
	f.Subscribe(Query{Read: "bad"}, 0)
	if d := receive(t, out); !fault.Is(d.err, fault.NotFound) || d.query.Read != "bad" {
		t.Errorf("%+v", d)
	}
	eventually(t, "the feed names its server", func() bool { return f.Server() == p.addr })
}

// A reader that takes nothing for a while must find the newest result next, and the server must not have
// kept the ones in between.
func TestSlowSubscriberGetsTheNewest(t *testing.T) {
	s := newSource()
	p := serve(t, ServerConfig{Handler: answers{subscribe: s.subscribe}})
	out := make(chan delivered)
	f, _ := feed(t, out, p.addr)
	f.Subscribe(Query{Read: "big"}, 0)
	body := make([]byte, 1<<20)
	const n = 200
	for i := 1; i <= n; i++ {
		s.push(t, "big", model.Index(i), body)
	}
	got, last := 0, model.Index(0)
	for last < n {
		d := receive(t, out)
		if d.index <= last {
			t.Fatalf("%d after %d", d.index, last)
		}
		got, last = got+1, d.index
	}
	if got > n/4 {
		t.Errorf("%d of %d results were sent to a reader that took none of them in time", got, n)
	}
}

func TestOutboxIsFairAndBounded(t *testing.T) {
	o := newOutbox()
	for id := uint64(1); id <= 3; id++ {
		if !o.open(id, 3) {
			t.Fatal("no place")
		}
	}
	if o.open(4, 3) || o.open(1, 10) {
		t.Error("a place beyond the limit, or twice the same")
	}
	for i := range 1000 {
		for id := uint64(1); id <= 3; id++ {
			o.put(Update{ID: id, Meta: model.ReadMeta{Index: model.Index(i)}, Fresh: i == 0})
		}
	}
	if len(o.due) != 3 {
		t.Fatalf("%d wait", len(o.due))
	}
	for id := uint64(1); id <= 3; id++ {
		if u := o.take(); u == nil || u.ID != id || u.Meta.Index != 999 || !u.Fresh {
			t.Errorf("%+v", u)
		}
	}
	o.put(Update{ID: 1})
	o.end(1)
	o.put(Update{ID: 1})
	if u := o.take(); u != nil {
		t.Errorf("after its end: %+v", u)
	}
	late := 0
	o.hold(1, func() { late++ })
	o.hold(2, func() { late++ })
	o.endAll()
	if o.hold(3, func() { late++ }); late != 3 || o.open(5, 10) {
		t.Errorf("%d of 3 were ended", late)
	}
}

func TestFeedMovesToAnotherServerAndResumes(t *testing.T) {
	one, two := newSource(), newSource()
	a := serve(t, ServerConfig{Handler: answers{subscribe: one.subscribe}})
	b := serve(t, ServerConfig{Handler: answers{subscribe: two.subscribe}})
	out := make(chan delivered, 10)
	f, servers := feed(t, out, a.addr, b.addr)
	q := Query{Read: "web"}
	f.Subscribe(q, 0)
	one.push(t, "web", 41, []byte("a"))
	receive(t, out)
	a.stop()
	two.push(t, "web", 42, []byte("b"))
	if d := receive(t, out); d.body != "b" {
		t.Errorf("%+v", d)
	}
	if o, _ := two.last("web"); o.Request.Meta.Read.MinIndex != 41 {
		t.Errorf("resumed from %d", o.Request.Meta.Read.MinIndex)
	}
	// The first server comes back, and a rebalance brings the feed there.
	l, err := net.Listen("tcp", a.addr)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	three := newSource()
	serveOn(t, l, ServerConfig{Handler: answers{subscribe: three.subscribe}})
	servers.Rebalance()
	eventually(t, "the feed is there", func() bool { return f.Server() == a.addr })
	three.push(t, "web", 43, nil)
	if d := receive(t, out); d.index != 43 {
		t.Errorf("%+v", d)
	}
	eventually(t, "the second let it go", func() bool { two.mu.Lock(); defer two.mu.Unlock(); return two.ended["web"] == 1 })
}

func TestStreamHasABoundOfSubscriptions(t *testing.T) {
	s := newSource()
	p := serve(t, ServerConfig{MaxSubscriptions: 3, Handler: answers{subscribe: s.subscribe}})
	out := make(chan delivered, 10)
	f, _ := feed(t, out, p.addr)
	for i := range 3 {
		f.Subscribe(Query{Read: fmt.Sprint("r", i)}, 0)
	}
	s.push(t, "r2", 1, nil)
	receive(t, out)
	f.Subscribe(Query{Read: "one more"}, 0)
	eventually(t, "the stream was ended for it", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.ended["r0"] >= 1 })
}

func TestStopEndsIdleSubscriptionsAtOnce(t *testing.T) {
	s := newSource()
	p := serve(t, ServerConfig{Handler: answers{subscribe: s.subscribe}})
	out := make(chan delivered, 10)
	f, _ := feed(t, out, p.addr)
	f.Subscribe(Query{Read: "web"}, 0)
	s.push(t, "web", 1, nil)
	receive(t, out)
	begun := time.Now()
	p.Stop(20 * time.Second)
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("stopping took %s", d)
	}
}
