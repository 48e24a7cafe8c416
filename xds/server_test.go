package xds_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

// feed is a Source whose snapshots a test sets.
type feed struct {
	mu      sync.Mutex
	states  map[model.ServiceID]*state
	tokens  []model.Secret
	refusal error
}

type state struct {
	snapshot *xds.Snapshot
	changed  chan struct{}
	err      error
}

func newFeed() *feed { return &feed{states: make(map[model.ServiceID]*state)} }

func (f *feed) state(id model.ServiceID) *state {
	if f.states[id] == nil {
		f.states[id] = &state{changed: make(chan struct{})}
	}
	return f.states[id]
}

func (f *feed) set(id model.ServiceID, s *xds.Snapshot, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := f.state(id)
	st.snapshot, st.err = s, err
	close(st.changed)
	st.changed = make(chan struct{})
}

func (f *feed) Watch(_ context.Context, req model.Request, proxy model.InstanceKey) (xds.Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = append(f.tokens, req.Token)
	return watch{f, proxy.ID}, f.refusal
}

type watch struct {
	f  *feed
	id model.ServiceID
}

func (w watch) Current() (*xds.Snapshot, <-chan struct{}, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	st := w.f.state(w.id)
	return st.snapshot, st.changed, st.err
}

func (w watch) Close() {}

// serve starts a server on an in-memory listener and returns it with a connection to it.
func serve(t testing.TB, cfg xds.Config) (*xds.Server, *grpc.ClientConn) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	s := xds.NewServer(cfg)
	g := grpc.NewServer(xds.ServerOptions()...)
	s.Register(g)
	l := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Close()
		g.GracefulStop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, conn
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// tcpSidecar is web's sidecar with db upstream.
func tcpSidecar(t testing.TB) *xds.Snapshot { return scenario(t, "sidecar-tcp") }

const proxyID = "web-sidecar-proxy"

// logged collects log lines.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func (l *logged) logger() hclog.Logger { return hclog.New(&hclog.LoggerOptions{Output: l}) }

// eventually polls until cond is true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

var errNoRight = fault.New(fault.Permission, "Permission denied")

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
