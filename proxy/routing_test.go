package proxy_test

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/proxy"
	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

func mustRoots(t *testing.T, text []byte) *identity.Roots {
	t.Helper()
	r, err := identity.ParseRoots(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// twoInstances is web's sidecar with an upstream db of two instances.
type twoInstances struct {
	ca       *meshtest.CA
	web      *sidecar
	db       [2]*sidecar
	public   [2]string
	upstream string
}

func startTwo(t testing.TB, apps [2]net.Addr, tune func(*proxy.Config)) *twoInstances {
	t.Helper()
	two := &twoInstances{ca: meshtest.NewCA(t, "a.consul"), upstream: freeAddr(t)}
	for i := range two.db {
		two.public[i] = freeAddr(t)
		two.db[i] = startSidecar(t, two.ca, "db", tune)
		two.db[i].public(two.public[i], apps[i])
		two.db[i].up()
	}
	two.web = startSidecar(t, two.ca, "web", tune)
	two.web.upstream(two.upstream, "db", two.public[:]...)
	two.web.up()
	return two
}

func TestLoadIsSpreadAndRemovedEndpointGetsNothingNew(t *testing.T) {
	two := startTwo(t, [2]net.Addr{lineApp(t, "db1"), lineApp(t, "db2")}, nil)
	seen := map[string]int{}
	for range 40 {
		seen[dial(t, two.upstream).must("x")]++ // the connections stay open until the test ends
	}
	if seen["db1 x"] < 10 || seen["db2 x"] < 10 {
		t.Errorf("unbalanced: %v", seen)
	}
	two.web.endpoints("db", two.public[1])
	two.web.push()
	for range 20 {
		if got := dial(t, two.upstream).must("x"); got != "db2 x" {
			t.Fatalf("a removed endpoint got a connection: %q", got)
		}
	}
}

func TestUnhealthyEndpointGetsNothing(t *testing.T) {
	two := startTwo(t, [2]net.Addr{lineApp(t, "db1"), lineApp(t, "db2")}, nil)
	two.web.state.Endpoints["db"] = &resource.Endpoints{Name: "db", Members: []balance.Member{
		{Address: balance.Address{Network: "tcp", Text: two.public[0]}, Health: balance.Unhealthy},
		{Address: balance.Address{Network: "tcp", Text: two.public[1]}}}}
	two.web.push()
	for range 20 {
		if got := dial(t, two.upstream).must("x"); got != "db2 x" {
			t.Fatalf("an unhealthy endpoint got a connection: %q", got)
		}
	}
}

func TestRefusalIsRetriedOnAnotherEndpoint(t *testing.T) {
	// Of three endpoints one has nothing listening, and one has a sidecar whose application is dead.
	ca := meshtest.NewCA(t, "a.consul")
	dead := freeAddr(t)
	half, good := startSidecar(t, ca, "db", nil), startSidecar(t, ca, "db", nil)
	halfAddr, goodAddr := freeAddr(t), freeAddr(t)
	gone, err := net.ResolveTCPAddr("tcp", freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	half.public(halfAddr, gone)
	half.up()
	good.public(goodAddr, lineApp(t, "db1"))
	good.up()
	// Suspicion off: each connection may meet all of them.
	web, upstream := startSidecar(t, ca, "web", func(c *proxy.Config) { c.Timing.Suspect = time.Nanosecond }), freeAddr(t)
	web.upstream(upstream, "db", dead, halfAddr, goodAddr)
	web.up()
	for range 30 {
		dial(t, upstream).must("x")
	}
	if web.counter("lictor_proxy_upstream_failures_total", "connect") == 0 || web.counter("lictor_proxy_upstream_failures_total", "unreachable") == 0 {
		t.Error("the bad endpoints were never tried")
	}
}

func TestFailedEndpointIsAvoidedForAWhile(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	good := startSidecar(t, ca, "db", nil)
	goodAddr := freeAddr(t)
	good.public(goodAddr, lineApp(t, "db1"))
	good.up()
	web, upstream := startSidecar(t, ca, "web", func(c *proxy.Config) { c.Timing.Suspect = time.Minute }), freeAddr(t)
	web.upstream(upstream, "db", freeAddr(t), goodAddr)
	web.up()
	for range 40 {
		dial(t, upstream).must("x")
	}
	if n := web.counter("lictor_proxy_upstream_failures_total", "connect"); n > 1 {
		t.Errorf("the dead endpoint was tried %v times", n)
	}
}

func TestNoEndpointsResetsTheCaller(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	web, upstream := startSidecar(t, ca, "web", nil), freeAddr(t)
	web.upstream(upstream, "db")
	web.up()
	if err := outcome(upstream); !isReset(err) {
		t.Errorf("ended with %v, want a reset", err)
	}
	if !strings.Contains(web.log.String(), "db has no healthy endpoint") {
		t.Error("the log does not say why")
	}
}

func TestListenerUpdateKeepsTheSocketAndRemovalDrains(t *testing.T) {
	app := lineApp(t, "db1")
	p := startPair(t, app)
	held := dial(t, p.upstream)
	held.must("one")
	p.db.public(p.public, app, denyRule(p.ca, "nobody", "nobody->db:9"))
	p.db.push()
	held.must("two")
	delete(p.db.state.Listeners, "public_listener:"+p.public)
	p.db.push()
	eventually(t, "the socket is closed", func() bool {
		c, err := net.Dial("tcp", p.public)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	held.must("three")
	p.db.public(p.public, app)
	p.db.push()
	eventually(t, "the socket is open again", func() bool { _, err := tryAsk(p.upstream, "x"); return err == nil })
}

func TestConnectionLimitOfAListener(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"))
	name := "db:" + p.upstream
	limited := *p.web.state.Listeners[name]
	limited.MaxConnections = 2
	p.web.state.Listeners[name] = &limited
	p.web.push()
	eventually(t, "the limit is in force", func() bool {
		a, b := dial(t, p.upstream), dial(t, p.upstream)
		_, _ = a.ask("x")
		_, _ = b.ask("x")
		err := outcome(p.upstream)
		_, _ = a.Close(), b.Close()
		return err != nil
	})
	eventually(t, "room again", func() bool { _, err := tryAsk(p.upstream, "x"); return err == nil })
}

func TestPortInUseIsRetriedAndSaid(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startSidecar(t, ca, "db", nil)
	s.public(taken.Addr().String(), lineApp(t, "db1"))
	s.push()
	eventually(t, "the reason is shown", func() bool {
		w := s.Waiting()
		return len(w) == 1 && strings.Contains(w[0], taken.Addr().String()) && strings.Contains(w[0], "address already in use")
	})
	_ = taken.Close()
	select {
	case <-s.Ready():
	case <-time.After(5 * time.Second):
		t.Fatal("not ready after the port was freed")
	}
}

func TestWaitsForLateCertificates(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	s := startSidecar(t, ca, "db", nil)
	if w := s.Waiting(); len(w) != 1 || !strings.Contains(w[0], "nothing set yet") && !strings.Contains(w[0], "no configuration yet") {
		t.Errorf("waiting for %q", w)
	}
	leaf := s.state.Secrets["leaf"]
	delete(s.state.Secrets, "leaf")
	s.public(freeAddr(t), lineApp(t, "db1"))
	s.push()
	eventually(t, "it says what is missing", func() bool {
		w := s.Waiting()
		return len(w) == 1 && strings.Contains(w[0], "waiting for the certificate leaf")
	})
	s.state.Secrets["leaf"] = leaf
	s.up()
}

func TestUnixSocketsOnBothEnds(t *testing.T) {
	dir := t.TempDir()
	app, err := net.Listen("unix", dir+"/app.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Close() }()
	go func() {
		for {
			c, err := app.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	ca := meshtest.NewCA(t, "a.consul")
	db, public := startSidecar(t, ca, "db", nil), freeAddr(t)
	db.public(public, app.Addr())
	db.state.Clusters["local_app"].Static[0].Address.Network = "unix"
	db.up()
	web := startSidecar(t, ca, "web", nil)
	web.upstream("127.0.0.1:1", "db", public)
	l := *web.state.Listeners["db:127.0.0.1:1"]
	delete(web.state.Listeners, l.Name)
	l.Name, l.Address, l.SocketMode = "db:sock", balance.Address{Network: "unix", Text: dir + "/db.sock"}, 0o600
	web.state.Listeners[l.Name] = &l
	web.up()
	if s, err := os.Stat(l.Address.Text); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", s.Mode(), err)
	}
	c, err := net.Dial("unix", l.Address.Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "there and back"); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.UnixConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "there and back" {
		t.Errorf("%q, %v", got, err)
	}
}
