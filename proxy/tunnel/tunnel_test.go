package tunnel

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
)

func credentials(t *testing.T, ca *meshtest.CA, service string) Credentials {
	id, roots := ca.Identity(t, service), ca.Roots(t)
	return Credentials{Leaf: func() *identity.Identity { return id }, Roots: func() *identity.Roots { return roots }}
}

func TestThereIsNoDiallingWithoutIDs(t *testing.T) {
	if _, err := NewClient(credentials(t, meshtest.NewCA(t, "a"), "web"), nil, "", nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

// shake makes a tunnel between a client and a server over a loopback connection.
func shake(t *testing.T, c *Client, s *Server) (client, server *Conn, cerr, serr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := l.Accept()
		if err != nil {
			serr = err
			return
		}
		if server, serr = s.Handshake(raw, 5*time.Second); serr != nil {
			_ = raw.Close()
		}
		t.Cleanup(func() { _ = raw.Close() })
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	client, cerr = c.Handshake(raw, 5*time.Second)
	<-done
	return client, server, cerr, serr
}

func TestNativePeersAgreeAndSeeEachOther(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	asked := false
	s := NewServer(credentials(t, ca, "db"), []string{"http/1.1"}, func(identity.ID) error { asked = true; return nil })
	c, err := NewClient(credentials(t, ca, "web"), []identity.ID{identity.ID(ca.ID("db"))}, "db.internal", []string{"http/1.1"})
	if err != nil {
		t.Fatal(err)
	}
	client, server, cerr, serr := shake(t, c, s)
	if cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	if !client.Native || !server.Native || string(client.Peer) != ca.ID("db") || string(server.Peer) != ca.ID("web") || asked {
		t.Errorf("client %+v, server %+v, asked %v", client, server, asked)
	}
	// The verdict comes first, and not one byte of what follows is taken with it.
	go func() {
		_ = server.Send(Verdict{Code: Accepted}, time.Second)
		_, _ = io.WriteString(server.TLS, "\x01application")
	}()
	if v, err := client.Await(time.Second); err != nil || v.Code != Accepted {
		t.Fatal(v, err)
	}
	got := make([]byte, 12)
	if _, err := io.ReadFull(client.TLS, got); err != nil || string(got) != "\x01application" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNoCertificateYetIsAFailedHandshake(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	none := Credentials{Leaf: func() *identity.Identity { return nil }, Roots: func() *identity.Roots { return nil }}
	c, err := NewClient(credentials(t, ca, "web"), []identity.ID{identity.ID(ca.ID("db"))}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, cerr, serr := shake(t, c, NewServer(none, nil, nil))
	if cerr == nil || !strings.Contains(serr.Error(), "no certificate or no roots yet") {
		t.Errorf("client %v, server %v", cerr, serr)
	}
}

func TestVerdictsKeepTheirReason(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	s := NewServer(credentials(t, ca, "db"), nil, nil)
	c, err := NewClient(credentials(t, ca, "web"), []identity.ID{identity.ID(ca.ID("db"))}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	client, server, cerr, serr := shake(t, c, s)
	if cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	for _, want := range []Verdict{{Denied, "web->db:9"}, {Unreachable, ""}, {Code(200), strings.Repeat("x", maxReason)}} {
		if err := server.Send(Verdict{want.Code, want.Reason + strings.Repeat("y", 300)[:300*len(want.Reason)/maxReason]}, time.Second); err != nil {
			t.Fatal(err)
		}
		got, err := client.Await(time.Second)
		if err != nil || got.Code != want.Code || !strings.HasPrefix(got.Reason, want.Reason) || len(got.Reason) > maxReason {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		if got.Refusal() == nil || fault.Is(got.Refusal(), fault.Permission) != (want.Code == Denied) {
			t.Errorf("%v is %v", want.Code, got.Refusal())
		}
	}
}

func FuzzVerdict(f *testing.F) {
	f.Add([]byte{0, 1})
	f.Add([]byte{1, 3, 'a', 'b', 'c', 'd'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		v, err := readVerdict(r)
		if err != nil {
			return
		}
		if used := len(b) - r.Len(); v.Code == Accepted && used != 1 || v.Code != Accepted && used != 2+len(v.Reason) {
			t.Errorf("%d bytes were taken for %+v", used, v)
		}
	})
}
