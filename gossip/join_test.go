package gossip

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func TestRetryJoinGoesOnUntilAnotherMemberIsThere(t *testing.T) {
	var log logText
	cfg := config("b")
	cfg.Logger = log.logger()
	b := start(t, cfg)
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := reserved.Addr().(*net.TCPAddr).Port
	_ = reserved.Close()
	late := net.JoinHostPort("localhost", fmt.Sprint(port))
	done := make(chan error, 1)
	// Its own address answers from the start; that alone must not count.
	go func() {
		done <- b.RetryJoin(t.Context(), Retry{Addrs: []string{b.addr(), late}, Interval: 20 * time.Millisecond})
	}()
	eventually(t, "attempts are logged", func() bool { return strings.Count(log.String(), "could not join, trying again") >= 2 })
	select {
	case err := <-done:
		t.Fatalf("gave up or was content with itself: %v", err)
	default:
	}
	ca := config("a")
	ca.BindPort = port
	a, err := New(ca)
	if err != nil {
		t.Skipf("the reserved port was taken meanwhile: %v", err)
	}
	defer func() { _ = a.Shutdown() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("RetryJoin never ended:\n%s", log.String())
	}
	eventually(t, "they know each other", func() bool { return status(a, "b") == model.MemberAlive })
}

func TestRetryJoinEnds(t *testing.T) {
	b := start(t, config("b"))
	closed := "127.0.0.1:1"
	if err := b.RetryJoin(t.Context(), Retry{Addrs: []string{closed}, Interval: time.Millisecond, Max: 3}); !fault.Is(err, fault.Unavailable) ||
		!strings.Contains(err.Error(), "3 attempts") || strings.Contains(err.Error(), "\n") {
		t.Errorf("after Max: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.RetryJoin(ctx, Retry{Addrs: []string{closed}, Interval: time.Hour}); !fault.Is(err, fault.Canceled) {
		t.Errorf("after the context: %v", err)
	}
	if err := b.RetryJoin(t.Context(), Retry{Addrs: []string{b.addr()}, Interval: time.Hour}); err != nil {
		t.Errorf("its own address alone: %v", err)
	}
	for _, bad := range []string{"provider=aws tag_key=x", "", "http://x"} {
		if err := b.RetryJoin(t.Context(), Retry{Addrs: []string{bad}, Interval: time.Hour}); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := b.RetryJoin(t.Context(), Retry{}); err != nil {
		t.Errorf("no addresses: %v", err)
	}
}

func TestRetryPausesAreShortFirstAndSpread(t *testing.T) {
	r := Retry{Interval: 30 * time.Second}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second}
	for i, w := range want {
		if got := r.pause(i+1, 0); got != w {
			t.Errorf("attempt %d: %s, want %s", i+1, got, w)
		}
	}
	if got := r.pause(1000, 1); got != 30*time.Second+30*time.Second/8 {
		t.Errorf("%s", got)
	}
	r.Max = 3
	if got := r.pause(1, 0); got != 30*time.Second {
		t.Errorf("with retry_max the interval is kept as documented, got %s", got)
	}
}
