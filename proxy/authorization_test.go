package proxy_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/proxy"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

func denyRule(ca *meshtest.CA, source, name string) rbac.Rules {
	return rbac.Rules{Action: rbac.Deny, Policies: []rbac.Policy{{Name: name, Principals: []rbac.Principal{rbac.Exact(ca.ID(source))}}}}
}

func TestDeniedOpenConnectionClosesWhileAllowedStays(t *testing.T) {
	app := lineApp(t, "db1")
	p := startPair(t, app)
	api := startSidecar(t, p.ca, "api", nil)
	apiUpstream := freeAddr(t)
	api.upstream(apiUpstream, "db", p.public)
	api.up()

	fromWeb, fromAPI := dial(t, p.upstream), dial(t, apiUpstream)
	fromWeb.must("one")
	fromAPI.must("one")

	p.db.public(p.public, app, denyRule(p.ca, "web", "web->db:9"))
	p.db.push()
	began := time.Now()
	if err := fromWeb.ends(); !isReset(err) {
		t.Fatalf("the denied connection ended with %v, want a reset", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	fromAPI.must("two")

	// A new connection is refused with the reason, which both sides log.
	if _, err := tryAsk(p.upstream, "three"); err == nil {
		t.Fatal("a denied service got an answer")
	}
	eventually(t, "both denials are counted", func() bool {
		return p.db.counter("lictor_proxy_denied_total", "web", "db", "web->db:9") == 2
	})
	for _, want := range []string{"source=web", "destination=db", "intention=web->db:9"} {
		if !strings.Contains(p.db.log.String(), want) {
			t.Errorf("db's log lacks %s", want)
		}
	}
	eventually(t, "web's log names the intention", func() bool { return strings.Contains(p.web.log.String(), `web->db:9`) })

	// Deleting it heals, on the same socket and with the same open connection.
	p.db.public(p.public, app)
	p.db.push()
	eventually(t, "web is allowed again", func() bool { _, err := tryAsk(p.upstream, "four"); return err == nil })
	fromAPI.must("five")
}

func TestDefaultDenyNamesTheDefault(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"), rbac.Rules{Action: rbac.Allow})
	if _, err := tryAsk(p.upstream, "x"); err == nil {
		t.Fatal("got through an allow list without entries")
	}
	if n := p.db.counter("lictor_proxy_denied_total", "web", "db", "default"); n != 1 {
		t.Errorf("denied_total is %v, want 1", n)
	}
}

// stranger is a TLS client that is no Lictor proxy.
func stranger(t *testing.T, addr string, id *identity.Identity, alpn ...string) (*tls.Conn, error) {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: alpn}
	if id != nil {
		cfg.Certificates = []tls.Certificate{id.Certificate}
	}
	raw, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	// In TLS 1.3 the server's refusal of our certificate comes with the first read.
	if _, err := io.WriteString(c, "hi\n"); err != nil {
		return nil, err
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	if err == nil && string(buf[:n]) != "db1 hi\n" {
		t.Errorf("got %q", buf[:n])
	}
	return c, err
}

func TestPeersWithoutTheNativeProtocolWorkPlain(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"))
	for _, alpn := range [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}} {
		if _, err := stranger(t, p.public, p.ca.Identity(t, "api"), alpn...); err != nil {
			t.Errorf("with ALPN %q: %v", alpn, err)
		}
	}
}

func TestPublicPortRefusesWhoIsNotInTheMesh(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"), denyRule(meshtest.NewCA(t, "x"), "nobody", "nobody->db:9"))
	other := meshtest.NewCA(t, "a.consul") // the same name, another key
	two, err := identity.ParseIdentity(p.ca.Leaf(t, p.ca.ID("web")))
	if err != nil {
		t.Fatal(err)
	}
	two.Certificate = mustPair(t, p.ca, p.ca.ID("web"), p.ca.ID("api"))
	foreign := *two
	foreign.Certificate = mustPair(t, p.ca, "spiffe://b.consul/ns/default/dc/dc1/svc/web")
	for name, id := range map[string]*identity.Identity{"no certificate": nil, "another authority": other.Identity(t, "web"),
		"two URI names": two, "another trust domain": &foreign} {
		if _, err := stranger(t, p.public, id); err == nil {
			t.Errorf("%s: got through", name)
		}
	}
	eventually(t, "each is counted", func() bool {
		return p.db.counter("lictor_proxy_connections_failed_total", "handshake") == 4
	})
}

func mustPair(t *testing.T, ca *meshtest.CA, uris ...string) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(ca.Leaf(t, uris...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientRefusesAnotherServiceAndAnotherTrustDomain(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	app := lineApp(t, "impostor")
	for name, make := range map[string]func() *sidecar{
		"another service": func() *sidecar { return startSidecar(t, ca, "api", nil) },
		"another trust domain": func() *sidecar {
			s := startSidecar(t, ca, "db", nil)
			id, err := identity.ParseIdentity(ca.Leaf(t, "spiffe://b.consul/ns/default/dc/dc1/svc/db"))
			if err != nil {
				t.Fatal(err)
			}
			s.state.Secrets["leaf"] = &resource.Secret{Name: "leaf", Leaf: id}
			return s
		},
	} {
		impostor, public := make(), freeAddr(t)
		impostor.public(public, app)
		impostor.up()
		web, upstream := startSidecar(t, ca, "web", nil), freeAddr(t)
		web.upstream(upstream, "db", public)
		web.up()
		if answer, err := tryAsk(upstream, "secret"); err == nil {
			t.Errorf("%s: got %q", name, answer)
		}
		eventually(t, name+" is counted", func() bool {
			return web.counter("lictor_proxy_upstream_failures_total", "db", "handshake") == 1
		})
	}
}

func TestGarbageOnListenersDisturbsNothing(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"))
	held := dial(t, p.upstream)
	held.must("before")
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03truncated"
	for i := range 50 {
		c, err := net.Dial("tcp", p.public)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, []string{"GET / HTTP/1.1\r\n\r\n", hello, "\x00\xff\x00", ""}[i%4])
		_ = c.Close()
	}
	eventually(t, "each is counted", func() bool {
		return p.db.counter("lictor_proxy_connections_failed_total", "handshake") == 38 &&
			p.db.counter("lictor_proxy_connections_failed_total", "silent") == 12
	})
	if n := strings.Count(p.db.log.String(), "did not identify itself"); n == 0 || n > 3 {
		t.Errorf("%d log lines about 50 strangers", n)
	}
	held.must("after")
	dial(t, p.upstream).must("new")
}

func TestSilentStrangerIsCutOffAtTheDeadline(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	s := startSidecar(t, ca, "db", func(c *proxy.Config) {
		c.Timing.Handshake = 50 * time.Millisecond
		c.Limits.HandshakesPerIP = 1
	})
	public := freeAddr(t)
	s.public(public, lineApp(t, "db1"))
	s.up()
	first := make(chan error, 1)
	silent := dial(t, public)
	go func() { first <- silent.ends() }()
	eventually(t, "a second handshake is one too many", func() bool {
		_ = outcome(public)
		return s.counter("lictor_proxy_connections_failed_total", "limit") > 0
	})
	if err := <-first; !isReset(err) {
		t.Errorf("ended with %v, want a reset", err)
	}
	eventually(t, "there is room again", func() bool {
		_, err := stranger(t, public, ca.Identity(t, "web"))
		return err == nil
	})
}

func TestListedCallersAreDecidedAnew(t *testing.T) {
	only := func(ca *meshtest.CA, service string) rbac.Rules {
		return rbac.Rules{Policies: []rbac.Policy{{Name: "callers", Principals: []rbac.Principal{rbac.Exact(ca.ID(service))}}}}
	}
	app := lineApp(t, "db1")
	p := startPair(t, app)
	held := dial(t, p.upstream)
	held.must("x")
	p.db.public(p.public, app, only(p.ca, "web"))
	p.db.push()
	held.must("y")
	p.db.public(p.public, app, only(p.ca, "api"))
	p.db.push()
	if err := held.ends(); !isReset(err) {
		t.Errorf("ended with %v, want a reset", err)
	}
}
