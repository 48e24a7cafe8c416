package cli

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// testClient is a connected client of the agent at url.
func testClient(t *testing.T, url string) *client {
	t.Helper()
	cl := &client{sh: &shell{program: "lictor", stderr: io.Discard, getenv: func(string) string { return "" }}, addr: url, token: "secret"}
	if err := cl.connect(); err != nil {
		t.Fatal(err)
	}
	return cl
}

// leaseAgent grants a lease, and sends what is put into lines. closed is closed when the request ended.
func leaseAgent(t *testing.T) (cl *client, lines chan string, closed chan struct{}) {
	t.Helper()
	lines, closed = make(chan string), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.URL.Path != "/v1/agent/proxy/drain/web-sidecar-proxy" || r.Header.Get("X-Consul-Token") != "secret" {
			http.Error(w, "Unknown service ID", http.StatusNotFound)
			return
		}
		defer close(closed)
		w.WriteHeader(http.StatusOK)
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case line, ok := <-lines:
				if !ok {
					return
				}
				_, _ = io.WriteString(w, line+"\n")
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return testClient(t, server.URL), lines, closed
}

func leaseOf(cl *client) *drainLease {
	return &drainLease{cl: cl, log: hclog.NewNullLogger(), who: &registered{found: sidecar{"web-sidecar-proxy", "web"}}}
}

func TestTheLeaseLastsUntilReleasedAndTellsWhenSubscribersMovedOn(t *testing.T) {
	cl, lines, closed := leaseAgent(t)
	ctx, cancel := context.WithCancel(context.Background())
	withdrawn, release, err := leaseOf(cl).Withdraw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	cancel() // bounds the asking, not the lease
	lines <- "draining"
	select {
	case <-withdrawn:
		t.Fatal("withdrawn before subscribers moved on")
	default:
	}
	lines <- "drained"
	wait(t, "the subscribers", withdrawn)
	select {
	case <-closed:
		t.Fatal("the lease ended by itself")
	default:
	}
	release()
	wait(t, "the end of the lease", closed)
}

func TestALeaseThatEndsEarlyDoesNotCountAsMovedOn(t *testing.T) {
	cl, lines, closed := leaseAgent(t)
	withdrawn, release, err := leaseOf(cl).Withdraw(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	close(lines)
	wait(t, "the end of the lease", closed)
	select {
	case <-withdrawn:
		t.Fatal("the agent never said that subscribers moved on")
	case <-time.After(50 * time.Millisecond): // nothing must happen: there is no event to wait for
	}
}

func TestARefusedLeaseSaysWhy(t *testing.T) {
	cl, _, _ := leaseAgent(t)
	l := leaseOf(cl)
	l.who = &registered{found: sidecar{"other", "web"}}
	_, _, err := l.Withdraw(context.Background())
	if err == nil || !strings.Contains(err.Error(), "Unknown service ID") || !strings.Contains(err.Error(), "404") {
		t.Fatalf("error %v does not say what the agent said", err)
	}
	l.who = new(registered)
	if _, _, err := l.Withdraw(context.Background()); err == nil {
		t.Fatal("a proxy that is not registered got a lease")
	}
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}
