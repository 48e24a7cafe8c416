package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/proxy"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

func TestHalfCloseIsCarriedThrough(t *testing.T) {
	// The application answers only once the caller has said that it is done: sort(1), or an HTTP/1.0 upload.
	app := serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		all, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("got "), all...))
	})
	p := startPair(t, app)
	c := dial(t, p.upstream)
	if _, err := io.WriteString(c, "everything"); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "got everything" {
		t.Fatalf("got %q, %v", got, err)
	}
	eventually(t, "nothing is open", func() bool {
		return p.web.counter("lictor_proxy_connections_open")+p.db.counter("lictor_proxy_connections_open") == 0
	})
}

func TestServerThatSpeaksFirstAndEndsFirst(t *testing.T) {
	app := serve(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "welcome\n")
		_ = c.Close()
	})
	p := startPair(t, app)
	got, err := io.ReadAll(dial(t, p.upstream))
	if err != nil || string(got) != "welcome\n" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestResetIsCarriedThroughBothWays(t *testing.T) {
	toApp := make(chan error, 1)
	app := serve(t, func(c net.Conn) {
		one := make([]byte, 1)
		if _, err := io.ReadFull(c, one); err != nil {
			toApp <- err
			return
		}
		if one[0] == 'r' { // reset by the server
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
			return
		}
		_, _ = c.Write(one)
		_, err := io.ReadFull(c, one)
		toApp <- err
	})
	p := startPair(t, app)

	c := dial(t, p.upstream)
	_, _ = c.Write([]byte("r"))
	if err := c.ends(); !isReset(err) {
		t.Errorf("the caller reads %v, want a reset", err)
	}

	c = dial(t, p.upstream)
	_, _ = c.Write([]byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	if err := <-toApp; !isReset(err) {
		t.Errorf("the application reads %v, want a reset", err)
	}
}

func TestBulkArrivesWhole(t *testing.T) {
	// Both directions at once, of sizes that use every step of the buffers.
	app := serve(t, func(c net.Conn) {
		_, _ = io.Copy(c, c)
		_ = c.(*net.TCPConn).CloseWrite()
	})
	p := startPair(t, app)
	for _, size := range []int{1, 4 << 10, 16<<10 + 1, 300 << 10, 20 << 20} {
		blob := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		c := dial(t, p.upstream)
		go func() {
			_, _ = c.Write(blob)
			_ = c.Conn.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(blob) {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
	eventually(t, "bytes are counted", func() bool { return p.web.counter("lictor_proxy_bytes_total", "up") > 20<<20 })
}

func TestRotationTouchesNoOpenConnection(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"))
	held := dial(t, p.upstream)
	held.must("before")
	for range 3 {
		leaf := p.ca.Identity(t, "db")
		p.db.state.Secrets["leaf"] = &resource.Secret{Name: "leaf", Leaf: leaf}
		p.db.push()
		p.web.state.Secrets["leaf"] = &resource.Secret{Name: "leaf", Leaf: p.ca.Identity(t, "web")}
		p.web.push()
		eventually(t, "a new connection shows the new serial", func() bool {
			c, err := stranger(t, p.public, p.ca.Identity(t, "api"))
			return err == nil && c.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(leaf.Certificate.Leaf.SerialNumber) == 0
		})
		held.must("still")
		dial(t, p.upstream).must("new")
	}
}

func TestRootRotationTakesPeersOfBothRoots(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"))
	held := dial(t, p.upstream)
	held.must("before")
	next := meshtest.NewCA(t, "a.consul")
	both := mustRoots(t, append(append([]byte{}, p.ca.PEM...), next.PEM...))
	for _, s := range []*sidecar{p.web, p.db} {
		s.state.Secrets["roots"] = &resource.Secret{Name: "roots", Roots: both}
		s.push()
	}
	p.db.state.Secrets["leaf"] = &resource.Secret{Name: "leaf", Leaf: next.Identity(t, "db")}
	p.db.push()
	eventually(t, "web takes the new root's certificate", func() bool { _, err := tryAsk(p.upstream, "x"); return err == nil })
	held.must("after")
}

func TestIdleConnectionIsClosed(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	s := startSidecar(t, ca, "db", func(c *proxy.Config) { c.Timing.Idle = 50 * time.Millisecond })
	public := freeAddr(t)
	s.public(public, lineApp(t, "db1"))
	s.up()
	web, upstream := startSidecar(t, ca, "web", nil), freeAddr(t)
	web.upstream(upstream, "db", public)
	web.up()
	c := dial(t, upstream)
	c.must("x")
	if err := c.ends(); err == nil {
		t.Error("ended in order")
	}
	if n := s.counter("lictor_proxy_connections_cut_total", "idle"); n != 1 {
		t.Errorf("cut_total is %v, want 1", n)
	}
}
