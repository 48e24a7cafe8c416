package carry

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
)

func TestBytesReadAfterTheEndAreNotCarried(t *testing.T) {
	// The order that a race with Finish can take: the pump reads a request, and finds the link finished.
	caller, client := tcpPair(t)
	server, app := tcpPair(t)
	l := NewLink(Plain(client), Plain(server), NewBuffers())
	l.phase.Store(over)
	if _, err := caller.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if err := l.pump(l.server, l.client, 0); !errors.Is(err, errOver) {
		t.Fatalf("the direction ended with %v", err)
	}
	_ = server.Close()
	if got, err := io.ReadAll(app); err != nil || len(got) != 0 {
		t.Errorf("the application took %q, %v", got, err)
	}
}

// secured joins a plain caller to a TLS peer through a link that runs.
func secured(t *testing.T) (caller net.Conn, peer *tls.Conn, raw net.Conn) {
	t.Helper()
	ca := meshtest.NewCA(t, "a.consul")
	caller, client := tcpPair(t)
	near, far := tcpPair(t)
	id := ca.Identity(t, "db")
	peer = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{id.Certificate}})
	socket := NewSocket(near)
	secure := tls.Client(socket, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	l := NewLink(Plain(client), Secure(secure, socket), NewBuffers())
	go func() { defer close(ended); _ = l.Run() }()
	t.Cleanup(func() { l.Reset(); <-ended })
	_ = caller.SetDeadline(time.Now().Add(5 * time.Second))
	return caller, peer, far
}

func TestTruncatedTLSStreamIsAResetNotAnEnd(t *testing.T) {
	caller, peer, raw := secured(t)
	if _, err := io.WriteString(peer, "half of the ans"); err != nil {
		t.Fatal(err)
	}
	_ = raw.(*net.TCPConn).CloseWrite() // no close_notify: somebody cut the stream between two records
	if got, err := io.ReadAll(caller); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller read %q and then %v, want a reset", got, err)
	}
}

func TestCloseNotifyIsAnEnd(t *testing.T) {
	caller, peer, _ := secured(t)
	if _, err := io.WriteString(peer, "answer"); err != nil {
		t.Fatal(err)
	}
	_ = peer.CloseWrite()
	if got, err := io.ReadAll(caller); err != nil || string(got) != "answer" {
		t.Errorf("the caller read %q and then %v", got, err)
	}
	// The other direction is still open.
	if _, err := io.WriteString(caller, "more"); err != nil {
		t.Fatal(err)
	}
	_ = caller.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(peer); err != nil || string(got) != "more" {
		t.Errorf("the peer read %q and then %v", got, err)
	}
}

func TestOneByteRecordsAreDeliveredAtOnce(t *testing.T) {
	caller, peer, _ := secured(t)
	one := make([]byte, 1)
	for _, b := range []byte("abc") {
		if _, err := peer.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(caller, one); err != nil || one[0] != b {
			t.Fatalf("read %q, %v, want %q", one, err, b)
		}
	}
}
