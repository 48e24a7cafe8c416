package netlimit

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

func listen(t *testing.T, cfg Config) *Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := Wrap(l, cfg)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// accepted serves every admitted connection to the returned channel until the listener closes.
func accepted(l net.Listener) <-chan net.Conn {
	ch := make(chan net.Conn, 100)
	go func() {
		defer close(ch)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ch <- c
		}
	}()
	return ch
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refused dials where no place is left, and returns what the listener said before it closed. The reset may
// already meet the dial.
func refused(t *testing.T, l net.Listener) string {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	return ended(t, c)
}

func ended(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection stays open")
	}
	return string(b)
}

func TestConnectionsBeyondACapAreRefusedAndPlacesComeBack(t *testing.T) {
	for name, limits := range map[string]Limits{"total": {Total: 2}, "per client": {PerIP: 2}} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, Config{Limits: limits, Refusal: []byte("full\n")})
			ch := accepted(l)
			dial(t, l)
			dial(t, l)
			first, second := <-ch, <-ch
			if got := refused(t, l); got != "full\n" {
				t.Errorf("the third was told %q", got)
			}
			_ = first.Close()
			_ = first.Close() // a second Close gives no second place
			dial(t, l)
			third := <-ch
			refused(t, l)
			s := l.Stats()
			if s.Open != 2 || s.Accepted != 3 || s.RefusedTotal+s.RefusedPerIP != 2 {
				t.Errorf("%+v", s)
			}
			_, _ = second.Close(), third.Close()
			if s := l.Stats(); s.Open != 0 || len(l.perIP) != 0 {
				t.Errorf("after all were closed: %+v, %v", s, l.perIP)
			}
		})
	}
}

func TestLimitsChangeWhileListening(t *testing.T) {
	l := listen(t, Config{Limits: Limits{Total: 1}})
	ch := accepted(l)
	dial(t, l)
	<-ch
	refused(t, l)
	l.SetLimits(Limits{Total: 2})
	dial(t, l)
	<-ch
}

func TestSilentConnectionIsClosedAndATalkingOneIsNot(t *testing.T) {
	l := listen(t, Config{Limits: Limits{FirstByte: 50 * time.Millisecond}})
	ch := accepted(l)
	talking := dial(t, l)
	if _, err := talking.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	served := <-ch
	if _, err := served.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	silent := dial(t, l)
	<-ch
	ended(t, silent)
	if s := l.Stats(); s.Silent != 1 || s.Open != 1 {
		t.Errorf("%+v", s)
	}
	if _, err := served.Write([]byte("y")); err != nil {
		t.Errorf("the talking one was closed: %v", err)
	}
}

type failing struct {
	net.Listener
	mu    sync.Mutex
	times int
}

func (f *failing) Accept() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times > 0 {
		f.times--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestRunningOutOfDescriptorsEndsNoListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Wrap(&failing{Listener: inner, times: 3}, Config{})
	ch := accepted(l)
	dial(t, l)
	if c := <-ch; c == nil {
		t.Fatal("the listener gave up")
	}
	_ = l.Close()
	if c, open := <-ch; open {
		t.Errorf("accepted %v after Close", c)
	}
}

func TestClientsAreCountedByHost(t *testing.T) {
	key := func(s string) netip.Addr {
		k, _ := clientKey(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)))
		return k
	}
	if key("[2001:db8::1]:1") != key("[2001:db8::ffff:1]:2") || key("[2001:db8::1]:1") == key("[2001:db8:0:1::1]:1") {
		t.Error("IPv6 clients are not counted by /64")
	}
	if key("[::ffff:10.0.0.1]:1") != key("10.0.0.1:2") || key("10.0.0.1:1") == key("10.0.0.2:1") {
		t.Error("IPv4 clients are not counted by address")
	}
	if _, ok := clientKey(&net.UnixAddr{Name: "x"}); ok {
		t.Error("a Unix socket has a client address")
	}
}
