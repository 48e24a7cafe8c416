package gossip

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/gossip/lossy"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// logText is a log that tests read while it is written.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logText) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: l})
}

func config(name string) Config {
	id := model.NodeID("00000000-0000-0000-0000-" + fmt.Sprintf("%012x", []byte(name)[:min(6, len(name))]))
	return Config{
		Node: model.NodeName(name), NodeID: id, Datacenter: "dc1", BindAddr: "127.0.0.1",
		Tags: ClientTags("dc1", id), Timers: FastTimers(),
	}
}

func start(t *testing.T, cfg Config) *Pool {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown() })
	return p
}

func (p *Pool) addr() string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(p.LocalMember().Port)) }

func join(t *testing.T, p *Pool, to ...*Pool) {
	t.Helper()
	for _, o := range to {
		if n, err := p.Join([]string{o.addr()}); err != nil || n != 1 {
			t.Fatalf("join: %d, %v", n, err)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func status(p *Pool, name model.NodeName) model.MemberStatus {
	for _, m := range p.Members() {
		if m.Name == name {
			return m.Status
		}
	}
	return model.MemberNone
}

// next returns the next event of a kind about a member.
func next(t *testing.T, p *Pool, kind EventKind, name model.NodeName) Event {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case e := <-p.Events():
			if e.Kind == kind && e.Member.Name == name {
				return e
			}
		case <-deadline:
			t.Fatalf("%s never %s", name, kind)
		}
	}
}

func TestMembersMeetOverRealSockets(t *testing.T) {
	a, b, c := start(t, config("a")), start(t, config("b")), start(t, config("c"))
	join(t, b, a)
	join(t, c, a)
	for _, p := range []*Pool{a, b, c} {
		eventually(t, "three alive members", func() bool {
			return status(p, "a") == model.MemberAlive && status(p, "b") == model.MemberAlive && status(p, "c") == model.MemberAlive
		})
	}
	next(t, a, Joined, "b")
	m := b.LocalMember()
	if m.Addr != "127.0.0.1" || int(m.Port) != b.Port() || m.Tags["role"] != "node" || m.ProtocolMin != 1 || m.ProtocolMax != 5 ||
		m.ProtocolCur != 2 || m.DelegateMin != 2 || m.DelegateMax != 5 || m.DelegateCur != 4 {
		t.Errorf("not the recorded form: %+v", m)
	}
	if err := b.SetTags(map[string]string{"role": "node", "dc": "dc1", "x": "y"}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, a, Updated, "b"); e.Member.Tags["x"] != "y" {
		t.Errorf("%+v", e)
	}
	if err := c.UserEvent("deploy", []byte("v1"), false); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Pool{a, b, c} {
		if e := next(t, p, User, ""); e.User.Name != "deploy" || string(e.User.Payload) != "v1" || e.User.Time == 0 {
			t.Errorf("%+v", e)
		}
	}
	if err := c.UserEvent("big", make([]byte, 600), false); !fault.Is(err, fault.Invalid) {
		t.Errorf("an event of 600 bytes: %v", err)
	}
	eventually(t, "an estimate of the round trip", func() bool { rtt, ok := a.RTT("b"); return ok && rtt < time.Second })
	if _, ok := a.RTT("nobody"); ok {
		t.Error("a round trip to nobody")
	}
}

func TestLeavingFailingAndForcedLeaving(t *testing.T) {
	network := lossy.New(1)
	make1 := func(name string) (*Pool, *lossy.Transport) {
		cfg, tr := config(name), network.Transport()
		cfg.Transport = tr
		return start(t, cfg), tr
	}
	a, _ := make1("a")
	b, _ := make1("b")
	c, _ := make1("c")
	join(t, b, a)
	join(t, c, a)
	// The two announcements may come in either order.
	eventually(t, "a has both", func() bool { return status(a, "b") == model.MemberAlive && status(a, "c") == model.MemberAlive })

	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = b.Shutdown()
	next(t, a, Left, "b")
	if s := status(a, "b"); s != model.MemberLeft {
		t.Errorf("b is %s", s)
	}
	if _, open := <-b.Events(); open {
		for range b.Events() { // what was waiting; the loop ends because Shutdown closed the channel
		}
	}

	_ = c.Shutdown()
	next(t, a, Failed, "c")
	if err := a.ForceLeave("nobody", false); !fault.Is(err, fault.NotFound) || err.Error() != "agent: No node found with name 'nobody'" {
		t.Errorf("%v", err)
	}
	if err := a.ForceLeave("c", false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c counts as left", func() bool { return status(a, "c") == model.MemberLeft })
	if err := a.ForceLeave("c", true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c is forgotten", func() bool { return status(a, "c") == model.MemberNone })
	next(t, a, Reaped, "c")
}

// The pool must neither lose a member to ordinary packet loss nor hang on members that died.
func TestPoolHoldsTogetherUnderLossAndDeath(t *testing.T) {
	network := lossy.New(2)
	pools, ends := make([]*Pool, 5), make([]*lossy.Transport, 5)
	for i := range pools {
		cfg := config(fmt.Sprintf("n%d", i))
		ends[i] = network.Transport()
		cfg.Transport = ends[i]
		pools[i] = start(t, cfg)
		if i > 0 {
			join(t, pools[i], pools[0])
		}
	}
	for i := range pools {
		eventually(t, "everybody knows everybody", func() bool { return pools[i].MemberCount() == len(pools) })
	}
	network.SetLoss(0.2)
	_ = pools[4].Shutdown()
	for i := range 4 {
		eventually(t, "the dead one is noticed", func() bool { return status(pools[i], "n4") == model.MemberFailed })
	}
	network.Cut(ends[0], ends[1], true) // indirect probes go around it
	for round := range 3 {
		if err := pools[0].UserEvent(fmt.Sprint("round", round), nil, false); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			eventually(t, "an event arrives", func() bool { return next(t, pools[i], User, "").User.Name == fmt.Sprint("round", round) })
		}
	}
	network.SetLoss(0)
	for i := range 4 {
		for j := range 4 {
			eventually(t, "all living members are alive", func() bool { return status(pools[i], model.NodeName(fmt.Sprintf("n%d", j))) == model.MemberAlive })
		}
	}
}

func TestStrangersAreRefusedInOneClearLine(t *testing.T) {
	var log logText
	cfg := config("a")
	cfg.Logger = log.logger()
	a := start(t, cfg)

	other := config("b")
	other.Datacenter, other.Tags = "dc2", ClientTags("dc2", other.NodeID)
	b := start(t, other)
	if _, err := b.Join([]string{a.addr()}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), `is of datacenter "dc1", this pool is of "dc2"`) {
		t.Errorf("%v", err)
	}
	twin := config("c")
	twin.NodeID = cfg.NodeID
	twin.Tags = ClientTags("dc1", cfg.NodeID)
	c := start(t, twin)
	if _, err := c.Join([]string{a.addr()}); err == nil || !strings.Contains(err.Error(), "node id") {
		t.Errorf("%v", err)
	}
	eventually(t, "both refusals are in the log", func() bool {
		s := log.String()
		return strings.Contains(s, `of datacenter \"dc2\"`) && strings.Contains(s, "has this host's node id") && strings.Contains(s, "force-leave")
	})
	if n := a.MemberCount(); n != 1 {
		t.Errorf("the pool has %d members", n)
	}

	wan := config("s1")
	wan.Kind, wan.Tags = WAN, ServerTags(Server{Datacenter: "dc1", ID: wan.NodeID, Port: 8300})
	w := start(t, wan)
	if w.LocalMember().Name != "s1.dc1" {
		t.Errorf("WAN name %s", w.LocalMember().Name)
	}
	far := config("s2")
	far.Kind, far.Datacenter, far.Tags = WAN, "dc2", ServerTags(Server{Datacenter: "dc2", ID: far.NodeID, Port: 8300})
	join(t, start(t, far), w)
	client := config("s3")
	client.Kind = WAN
	if _, err := start(t, client).Join([]string{w.addr()}); err == nil {
		eventually(t, "the client is not taken", func() bool { return w.MemberCount() == 2 })
	}
	if n := w.MemberCount(); n != 2 {
		t.Errorf("a client entered the WAN pool: %d members", n)
	}
}

func TestRestartFindsTheMembersAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serf", "local.snapshot")
	a := start(t, config("a"))
	cfg := config("b")
	cfg.SnapshotPath = path
	b := start(t, cfg)
	join(t, b, a)
	next(t, b, Joined, "a")
	cfg.BindPort = b.Port()
	_ = b.Shutdown()
	b2 := start(t, cfg)
	eventually(t, "b is back without being told where to join", func() bool { return status(b2, "a") == model.MemberAlive })
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	taken := start(t, config("a"))
	for name, change := range map[string]func(*Config){
		"port in use":           func(c *Config) { c.BindPort = taken.Port() },
		"no name":               func(c *Config) { c.Node = "" },
		"no datacenter":         func(c *Config) { c.Datacenter = "" },
		"bad bind address":      func(c *Config) { c.BindAddr = "localhost:1" },
		"unspecified advertise": func(c *Config) { c.AdvertiseAddr = "0.0.0.0" },
		"bad key":               func(c *Config) { c.Key = model.NewSecret("c2hvcnQ=") },
		"zero timers":           func(c *Config) { c.Timers = Timers{} },
		"long name":             func(c *Config) { c.Node = model.NodeName(strings.Repeat("x", 200)) },
		"tags too large":        func(c *Config) { c.Tags = map[string]string{"x": strings.Repeat("y", 1000)} },
	} {
		cfg := config("b")
		change(&cfg)
		p, err := New(cfg)
		if err == nil {
			_ = p.Shutdown()
		}
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "c2hvcnQ=") || fault.KindOf(err) == fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGarbageOnThePortHurtsNobody(t *testing.T) {
	a, b := start(t, config("a")), start(t, config("b"))
	for range 20 {
		c, err := net.Dial("tcp", a.addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(bytes.Repeat([]byte{0xff, 9, 0}, 100))
		_ = c.Close()
		u, err := net.Dial("udp", a.addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = u.Write(bytes.Repeat([]byte{7}, 1000))
		_ = u.Close()
	}
	join(t, b, a)
	eventually(t, "a still takes members", func() bool { return status(a, "b") == model.MemberAlive })
}

func TestServersAreReadBackFromTheirTags(t *testing.T) {
	s := Server{
		Name: "s1", ID: "11111111-1111-1111-1111-111111111111", Datacenter: "dc1", Addr: "10.0.0.1", Port: 8300, GRPCPort: 8502, GRPCTLSPort: 8503,
		WANJoinPort: 8302, Expect: 3, ACLs: true, Build: "1.21.4:", Level: 2, Status: model.MemberAlive, UseTLS: true, ReadReplica: true,
	}
	m := model.Member{Name: "s1", Addr: "10.0.0.1", Status: model.MemberAlive, Tags: ServerTags(s)}
	back, ok := ServerOf(m)
	if !ok || back != s || back.RPCAddr() != "10.0.0.1:8300" {
		t.Errorf("%+v", back)
	}
	// As recorded of a single server of Consul 1.21.4 without ACLs.
	recorded := map[string]string{"acls": "0", "build": "1.21.4:", "dc": "dc1", "ft_fs": "1", "ft_si": "1", "grpc_port": "8502", "grpc_tls_port": "8503",
		"id": string(s.ID), "port": "8300", "raft_vsn": "3", "role": "consul", "segment": "", "vsn": "2", "vsn_max": "3", "vsn_min": "2", "wan_join_port": "8302"}
	got := ServerTags(Server{ID: s.ID, Datacenter: "dc1", Port: 8300, GRPCPort: 8502, GRPCTLSPort: 8503, WANJoinPort: 8302})
	if fmt.Sprint(got) != fmt.Sprint(recorded) {
		t.Errorf("got  %v\nwant %v", got, recorded)
	}
	for _, tags := range []map[string]string{nil, ClientTags("dc1", "x"), {"role": "consul", "dc": "dc1"}, {"role": "consul", "dc": "dc1", "port": "99999"}, {"role": "consul", "port": "1"}} {
		if s, ok := ServerOf(model.Member{Tags: tags}); ok {
			t.Errorf("%v was taken for the server %+v", tags, s)
		}
	}
}

func TestSlowReaderGetsWhereMembersEndedUp(t *testing.T) {
	var b backlog
	member := func(k EventKind, name string) Event {
		return Event{Kind: k, Member: model.Member{Name: model.NodeName(name)}}
	}
	for range 1000 {
		b.add(member(Joined, "a"))
		b.add(member(Failed, "a"))
		b.add(Event{Kind: User})
	}
	b.add(member(Joined, "b"))
	if len(b.queue) != maxUserEvents+2 {
		t.Fatalf("%d events wait", len(b.queue))
	}
	kinds := map[model.NodeName]EventKind{}
	for len(b.queue) > 0 {
		if e := b.queue[0]; e.Kind != User {
			kinds[e.Member.Name] = e.Kind
		}
		b.pop()
	}
	if kinds["a"] != Failed || kinds["b"] != Joined || b.users != 0 {
		t.Errorf("%v %d", kinds, b.users)
	}
}
