package rpc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
)

// answers is a Handler of functions; one that must not be called is nil and panics.
type answers struct {
	apply     func(*ApplyRequest) (*ApplyReply, error)
	read      func(context.Context, *ReadRequest) (*ReadReply, error)
	sign      func(*SignRequest) (*SignReply, error)
	subscribe func(*Order, func(Update)) (func(), error)
}

func (a answers) Apply(_ context.Context, r *ApplyRequest) (*ApplyReply, error) { return a.apply(r) }
func (a answers) Read(ctx context.Context, r *ReadRequest) (*ReadReply, error)  { return a.read(ctx, r) }
func (a answers) Sign(_ context.Context, r *SignRequest) (*SignReply, error)    { return a.sign(r) }
func (a answers) Subscribe(_ context.Context, o *Order, push func(Update)) (func(), error) {
	return a.subscribe(o, push)
}

// port is a running server.
type port struct {
	*Server
	addr string
	stop func()
}

func serve(t *testing.T, cfg ServerConfig) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, cfg)
}

func serveOn(t *testing.T, l net.Listener, cfg ServerConfig) *port {
	t.Helper()
	s := NewServer(cfg)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	var once sync.Once
	p := &port{Server: s, addr: l.Addr().String()}
	p.stop = func() {
		once.Do(func() {
			s.Stop(2 * time.Second)
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(p.stop)
	return p
}

func clientOf(t *testing.T, hold time.Duration, addrs ...string) (*Client, *Servers) {
	t.Helper()
	pool := NewPool(PoolConfig{})
	t.Cleanup(func() { _ = pool.Close() })
	servers := NewServers(func(int) int { return 0 })
	var list []ServerAddr
	for _, a := range addrs {
		list = append([]ServerAddr{{Addr: a}}, list...) // random 0 puts each before the last
	}
	servers.Set(list)
	route := func(dc string) (*Servers, error) {
		if dc != "" && dc != "dc1" {
			return nil, fault.New(fault.NoPath, "No path to datacenter")
		}
		return servers, nil
	}
	return NewClient(ClientConfig{Pool: pool, Route: route, Hold: hold, Attempt: time.Second}), servers
}

func TestRequestsArriveWholeAndRepliesComeBack(t *testing.T) {
	req := model.Request{Token: model.NewSecret("secret"), Datacenter: "dc1", Read: model.ReadOptions{MinIndex: 7, MaxWait: time.Minute, Mode: model.ConsistencyStale}}
	big := make([]byte, 6<<20)
	if _, err := rand.Read(big); err != nil {
		t.Fatal(err)
	}
	p := serve(t, ServerConfig{
		Handler: answers{
			apply: func(r *ApplyRequest) (*ApplyReply, error) {
				if r.Request.Model().Token.Reveal() != "secret" || r.RequestID == "" || r.Kind != 3 || string(r.Body) != "body" || r.Request.Hold == 0 {
					t.Errorf("%+v", r)
				}
				return &ApplyReply{Index: 42, Result: []byte("ok")}, nil
			},
			read: func(ctx context.Context, r *ReadRequest) (*ReadReply, error) {
				if m := r.Request.Model(); m != req || r.Read != "service" || string(r.Args) != "web" {
					t.Errorf("%+v", r)
				}
				if CallerOf(ctx).Addr == nil {
					t.Error("the caller has no address")
				}
				return &ReadReply{Meta: model.ReadMeta{Index: 8, KnownLeader: true}, Body: big}, nil
			},
			sign: func(r *SignRequest) (*SignReply, error) {
				return &SignReply{Leaf: model.LeafCert{Service: r.Service, CertPEM: r.CSR}}, nil
			},
		},
		Calls: map[string]CallFunc{"echo": Method(func(_ context.Context, r model.Request, a *Fault) (*Fault, error) {
			if r.Token.Reveal() != "secret" {
				return nil, fault.New(fault.Permission, "who are you")
			}
			return &Fault{Text: a.Text + a.Text}, nil
		})},
	})
	c, _ := clientOf(t, time.Second, p.addr)
	ctx := t.Context()
	if r, err := c.Apply(ctx, &ApplyRequest{Request: RequestOf(req), Kind: 3, Body: []byte("body")}); err != nil || r.Index != 42 || string(r.Result) != "ok" {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := c.Read(ctx, &ReadRequest{Request: RequestOf(req), Read: "service", Args: []byte("web")}); err != nil || r.Meta.Index != 8 || !r.Meta.KnownLeader || !bytes.Equal(r.Body, big) {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := c.Sign(ctx, &SignRequest{Request: RequestOf(req), Service: "web", CSR: "pem"}); err != nil || r.Leaf.Service != "web" || r.Leaf.CertPEM != "pem" {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := Invoke[Fault, Fault](ctx, c, req, "echo", &Fault{Text: "ab"}, CallOptions{}); err != nil || r.Text != "abab" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := Invoke[Fault, Fault](ctx, c, req, "unknown", &Fault{}, CallOptions{Server: p.addr}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), `"unknown"`) {
		t.Errorf("%v", err)
	}
	if _, err := c.Call(ctx, &CallRequest{Method: "echo", Body: []byte{0xc1}}, CallOptions{}); !fault.Is(err, fault.BadRequest) {
		t.Errorf("%v", err)
	}
	if _, err := c.Read(ctx, &ReadRequest{Request: RequestOf(model.Request{Datacenter: "dc9"})}); !fault.Is(err, fault.NoPath) {
		t.Errorf("%v", err)
	}
}

func TestFaultsSurviveTheWay(t *testing.T) {
	var give error
	p := serve(t, ServerConfig{Handler: answers{
		apply: func(*ApplyRequest) (*ApplyReply, error) { return nil, give },
		sign:  func(*SignRequest) (*SignReply, error) { return nil, give },
	}})
	c, _ := clientOf(t, 50*time.Millisecond, p.addr)
	for kind := fault.Internal; kind <= fault.Canceled; kind++ {
		if kind == fault.NotLeader || kind == fault.NoLeader || kind == fault.OutcomeUnknown {
			continue // these are acted on
		}
		give = fault.New(kind, "text of %s\nin two lines", kind).WithHint("do this")
		_, err := c.Apply(t.Context(), &ApplyRequest{})
		if fault.KindOf(err) != kind || err.Error() != give.Error() || fault.HintOf(err) != "do this" {
			t.Errorf("%s came as %s: %v (%s)", kind, fault.KindOf(err), err, fault.HintOf(err))
		}
	}
	give = errors.New("plain")
	if _, err := c.Sign(t.Context(), &SignRequest{}); !fault.Is(err, fault.Internal) || err.Error() != "plain" {
		t.Errorf("%v", err)
	}
	give = &fault.Error{Kind: fault.Conflict}
	if _, err := c.Sign(t.Context(), &SignRequest{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a fault without text was taken for %v", err)
	}
}

func TestPanicEndsOneRequestOnly(t *testing.T) {
	p := serve(t, ServerConfig{Handler: answers{sign: func(*SignRequest) (*SignReply, error) { return &SignReply{}, nil }}})
	c, _ := clientOf(t, 10*time.Millisecond, p.addr)
	if _, err := c.Apply(t.Context(), &ApplyRequest{}); err == nil {
		t.Error("a nil handler answered")
	}
	if _, err := c.Sign(t.Context(), &SignRequest{}); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestWriteGoesToTheLeader(t *testing.T) {
	leader := serve(t, ServerConfig{Handler: answers{apply: func(*ApplyRequest) (*ApplyReply, error) { return &ApplyReply{Index: 1}, nil }}})
	var asked atomic.Int32
	follower := serve(t, ServerConfig{
		Leader: func() string { return leader.addr },
		Handler: answers{apply: func(*ApplyRequest) (*ApplyReply, error) {
			asked.Add(1)
			return nil, fault.New(fault.NotLeader, "ask another")
		}},
	})
	c, servers := clientOf(t, time.Second, follower.addr, leader.addr)
	if first, _ := servers.Pick(); first.Addr != follower.addr {
		t.Fatalf("the test wants the follower first, it is %s", first.Addr)
	}
	for range 3 {
		if r, err := c.Apply(t.Context(), &ApplyRequest{}); err != nil || r.Index != 1 {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the follower was asked %d times, the leader was known after the first", n)
	}
}

func TestServersThatPointAtEachOtherEndAsNoLeader(t *testing.T) {
	var a, b *port
	var asked atomic.Int32
	h := answers{apply: func(*ApplyRequest) (*ApplyReply, error) {
		asked.Add(1)
		return nil, fault.New(fault.NotLeader, "not me").WithHint("wait")
	}}
	a = serve(t, ServerConfig{Leader: func() string { return b.addr }, Handler: h})
	b = serve(t, ServerConfig{Leader: func() string { return a.addr }, Handler: h})
	c, _ := clientOf(t, 300*time.Millisecond, a.addr, b.addr)
	_, err := c.Apply(t.Context(), &ApplyRequest{})
	if !fault.Is(err, fault.NoLeader) || err.Error() != "No cluster leader" {
		t.Errorf("%s: %v", fault.KindOf(err), err)
	}
	if n := asked.Load(); n > 60 {
		t.Errorf("they were asked %d times in 0.3 s", n)
	}
}

// dropping accepts connections, lets the request in, and drops the connection before the answer.
func dropping(t *testing.T, seen *atomic.Int32) *port {
	var p *port
	var conns sync.Map
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	drop := func() error {
		seen.Add(1)
		conns.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); conns.Delete(c); return true })
		return nil
	}
	p = serveOn(t, recording{inner, &conns}, ServerConfig{Handler: answers{
		apply: func(*ApplyRequest) (*ApplyReply, error) { return &ApplyReply{Index: 1}, drop() },
		read:  func(context.Context, *ReadRequest) (*ReadReply, error) { return &ReadReply{}, drop() },
	}})
	return p
}

type recording struct {
	net.Listener
	conns *sync.Map
}

func (r recording) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err == nil {
		r.conns.Store(c, nil)
	}
	return c, err
}

func TestUnansweredWriteIsRepeatedUnderOneID(t *testing.T) {
	var lost atomic.Int32
	first := dropping(t, &lost)
	var id atomic.Value
	second := serve(t, ServerConfig{Handler: answers{apply: func(r *ApplyRequest) (*ApplyReply, error) {
		id.Store(r.RequestID)
		return &ApplyReply{Index: 9}, nil
	}}})
	c, _ := clientOf(t, 2*time.Second, first.addr, second.addr)
	req := &ApplyRequest{}
	r, err := c.Apply(t.Context(), req)
	if err != nil || r.Index != 9 || lost.Load() != 1 {
		t.Fatalf("%+v %v after %d lost", r, err, lost.Load())
	}
	if id.Load() != req.RequestID || req.RequestID == "" {
		t.Errorf("repeated as %v, first %q", id.Load(), req.RequestID)
	}
}

func TestWriteThatNobodyAnsweredHasUnknownOutcome(t *testing.T) {
	var lost atomic.Int32
	p := dropping(t, &lost)
	c, _ := clientOf(t, 300*time.Millisecond, p.addr)
	if _, err := c.Apply(t.Context(), &ApplyRequest{}); !fault.Is(err, fault.OutcomeUnknown) || fault.HintOf(err) == "" {
		t.Errorf("%s: %v", fault.KindOf(err), err)
	}
	if lost.Load() < 2 {
		t.Errorf("tried %d times", lost.Load())
	}
	lost.Store(0)
	if _, err := c.Read(t.Context(), &ReadRequest{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a read: %s: %v", fault.KindOf(err), err)
	}
}

func TestWriteThatWasNeverSentIsKnownNotToBeDone(t *testing.T) {
	c, _ := clientOf(t, 100*time.Millisecond, "127.0.0.1:1", "127.0.0.1:2")
	if _, err := c.Apply(t.Context(), &ApplyRequest{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%s: %v", fault.KindOf(err), err)
	}
	none, _ := clientOf(t, 50*time.Millisecond)
	if _, err := none.Apply(t.Context(), &ApplyRequest{}); !fault.Is(err, fault.Unavailable) || err.Error() != "No known Consul servers" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Read(ctx, &ReadRequest{}); !fault.Is(err, fault.Canceled) {
		t.Errorf("%s: %v", fault.KindOf(err), err)
	}
}

// A frozen server costs one attempt, not the whole request.
func TestFrozenServerIsPassedOver(t *testing.T) {
	thaw := make(chan struct{})
	defer close(thaw)
	frozen := serve(t, ServerConfig{Handler: answers{apply: func(*ApplyRequest) (*ApplyReply, error) { <-thaw; return &ApplyReply{}, nil }}})
	other := serve(t, ServerConfig{Handler: answers{apply: func(*ApplyRequest) (*ApplyReply, error) { return &ApplyReply{Index: 3}, nil }}})
	c, _ := clientOf(t, 10*time.Second, frozen.addr, other.addr)
	if r, err := c.Apply(t.Context(), &ApplyRequest{}); err != nil || r.Index != 3 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestVerdictsNeverHideAnUnclearWrite(t *testing.T) {
	write, once, read := &errand{write: true}, &errand{write: true, once: true}, &errand{}
	server := func(k fault.Kind) (*Fault, error) {
		err := fault.New(k, "x")
		f := FaultOf(err)
		return &f, err
	}
	for _, c := range []struct {
		name   string
		e      *errand
		server bool
		kind   fault.Kind
		before bool
		final  bool
		want   fault.Kind
	}{
		{"refused by the state", write, true, fault.Conflict, false, true, fault.Conflict},
		{"refused by the state, repeated", write, true, fault.Conflict, true, true, fault.Conflict},
		{"refused before the state, repeated", write, true, fault.Permission, true, true, fault.OutcomeUnknown},
		{"rate limited at first", write, true, fault.RateLimited, false, true, fault.RateLimited},
		{"another leads", write, true, fault.NotLeader, false, false, fault.NoLeader},
		{"server does not know", write, true, fault.OutcomeUnknown, false, false, fault.OutcomeUnknown},
		{"server does not know, once", once, true, fault.OutcomeUnknown, false, true, fault.OutcomeUnknown},
		{"no answer", write, false, fault.OutcomeUnknown, false, false, fault.Unavailable},
		{"no answer, once", once, false, fault.OutcomeUnknown, false, true, fault.OutcomeUnknown},
		{"no answer to a read", read, false, fault.OutcomeUnknown, false, false, fault.Unavailable},
		{"not reached", once, false, fault.Unavailable, false, false, fault.Unavailable},
		{"way refused", write, false, fault.Permission, false, true, fault.Permission},
		{"way refused, repeated", write, false, fault.Permission, true, true, fault.OutcomeUnknown},
	} {
		f, err := server(c.kind)
		if !c.server {
			f = nil
		}
		v := verdict(f, err, c.e, c.before)
		if v.final != c.final || fault.KindOf(v.err) != c.want {
			t.Errorf("%s: final %v, %s", c.name, v.final, fault.KindOf(v.err))
		}
	}
}

func TestOversizedRequestsAreRefusedUnread(t *testing.T) {
	p := serve(t, ServerConfig{MaxRequest: 1 << 20, Handler: answers{apply: func(*ApplyRequest) (*ApplyReply, error) {
		t.Error("it was decoded")
		return nil, nil
	}}})
	c, _ := clientOf(t, 100*time.Millisecond, p.addr)
	if _, err := c.Apply(t.Context(), &ApplyRequest{Body: make([]byte, 2<<20)}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("%s: %v", fault.KindOf(err), err)
	}
}

// A list's announced length must not be believed by any decoder behind the port.
func TestAnnouncedLengthsAreCheckedBeforeAHandlerDecodes(t *testing.T) {
	seen := func(*ApplyRequest) (*ApplyReply, error) { t.Error("the handler saw it"); return nil, nil }
	p := serve(t, ServerConfig{
		Handler: answers{apply: seen, read: func(context.Context, *ReadRequest) (*ReadReply, error) {
			t.Error("the handler saw it")
			return nil, nil
		},
			subscribe: func(*Order, func(Update)) (func(), error) { t.Error("the handler saw it"); return func() {}, nil }},
		Calls: map[string]CallFunc{"x": func(context.Context, *CallRequest) ([]byte, error) { t.Error("the method saw it"); return nil, nil }},
	})
	c, _ := clientOf(t, 50*time.Millisecond, p.addr)
	// {"ic": a list of 268 million}
	bomb := []byte{0x81, 0xa2, 'i', 'c', 0xdd, 0x0f, 0xff, 0xff, 0xff}
	_, err1 := c.Apply(t.Context(), &ApplyRequest{Body: bomb})
	_, err2 := c.Read(t.Context(), &ReadRequest{Args: bomb})
	_, err3 := c.Call(t.Context(), &CallRequest{Method: "x", Body: bomb}, CallOptions{})
	out := make(chan delivered, 1)
	f, _ := feed(t, out, p.addr)
	f.Subscribe(Query{Read: "r", Args: string(bomb)}, 0)
	for _, err := range []error{err1, err2, err3, receive(t, out).err} {
		if !fault.Is(err, fault.BadRequest) {
			t.Errorf("%s: %v", fault.KindOf(err), err)
		}
	}
}

func TestGarbageOnThePortHurtsNobody(t *testing.T) {
	p := serve(t, ServerConfig{HandshakeTimeout: 200 * time.Millisecond, Handler: answers{sign: func(*SignRequest) (*SignReply, error) { return &SignReply{}, nil }}})
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00", strings.Repeat("\xff", 5000), preface + strings.Repeat("\xff", 100)} {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text))
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		for err == nil {
			_, err = conn.Read(make([]byte, 1000))
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%.20q is kept open", text)
		}
		_ = conn.Close()
	}
	c, _ := clientOf(t, time.Second, p.addr)
	if _, err := c.Sign(t.Context(), &SignRequest{}); err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreCapped(t *testing.T) {
	p := serve(t, ServerConfig{Limits: netlimit.Limits{PerIP: 2}, Handler: answers{sign: func(*SignRequest) (*SignReply, error) { return &SignReply{}, nil }}})
	for range 2 {
		c, _ := clientOf(t, time.Second, p.addr)
		if _, err := c.Sign(t.Context(), &SignRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	third, _ := clientOf(t, 100*time.Millisecond, p.addr)
	if _, err := third.Sign(t.Context(), &SignRequest{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if s := p.Connections(); s.RefusedPerIP == 0 || s.Open != 2 {
		t.Errorf("%+v", s)
	}
}

func TestCallersAreAuthorizedBeforeTheirRequestIsRead(t *testing.T) {
	p := serve(t, ServerConfig{
		Authorize: func(c Caller) error {
			if c.Service == "Agent" && c.Method == "Apply" {
				return fault.New(fault.Permission, "no writes from here")
			}
			return nil
		},
		Handler: answers{sign: func(*SignRequest) (*SignReply, error) { return &SignReply{}, nil }},
	})
	c, _ := clientOf(t, 100*time.Millisecond, p.addr)
	// Twice as large as the port takes: the refusal must come from the header alone.
	if _, err := c.Apply(t.Context(), &ApplyRequest{Body: make([]byte, 2*defaultMaxRequest)}); !fault.Is(err, fault.Permission) {
		t.Errorf("%s: %v", fault.KindOf(err), err)
	}
	if _, err := c.Sign(t.Context(), &SignRequest{}); err != nil {
		t.Error(err)
	}
}

func FuzzCodec(f *testing.F) {
	for _, m := range []message{&ApplyRequest{Body: []byte("x")}, &Order{ID: 1, Read: "r"}, &CallRequest{}, &SignRequest{}, &ReadRequest{}} {
		b, err := m.MarshalMsg(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, m := range []interface {
			UnmarshalMsg([]byte) ([]byte, error)
		}{&ApplyRequest{}, &ReadRequest{}, &SignRequest{}, &CallRequest{}, &Order{}, update{&Update{}}, readReply{&ReadReply{}}, &SignReply{}} {
			_, _ = m.UnmarshalMsg(b)
		}
	})
}
