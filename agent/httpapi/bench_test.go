package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// memory is a control plane without consensus: state, commands and views alone.
type memory struct {
	store  *state.Store
	engine *view.Engine
	reads  *read.Set
	mu     sync.Mutex
	index  model.Index
}

func newMemory(tb testing.TB) *memory {
	m := &memory{store: state.New(), reads: read.New(), index: 9}
	m.engine = view.NewEngine(m.store, m.reads.All())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); m.engine.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done })
	return m
}

func (m *memory) Read(ctx context.Context, req model.Request, q view.Query, from httpapi.Backend) (*view.Result, model.ReadMeta, error) {
	r, err := m.engine.Fetch(ctx, q, req.Read.MinIndex, req.Read.MaxWait)
	if err != nil {
		return nil, model.ReadMeta{}, err
	}
	return r, model.ReadMeta{Index: r.Index(), KnownLeader: true, Streaming: from == httpapi.FromView, Mode: req.Read.Mode}, nil
}

func (m *memory) Apply(_ context.Context, _ model.Request, c command.Command) (command.Outcome, error) {
	if err := c.Validate(); err != nil {
		return command.Outcome{}, err
	}
	e, err := command.Wrap(c, "", time.Unix(0, 0))
	if err != nil {
		return command.Outcome{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index++
	outcomes, topics, err := command.Apply(m.store, m.index, command.Batch{e})
	if err != nil {
		return command.Outcome{}, err
	}
	m.engine.Notify(topics)
	return outcomes[0], outcomes[0].Fault.Err()
}

func (m *memory) ConfigureCA(context.Context, model.Request, string, map[string]any, bool) error {
	return nil
}
func (m *memory) Leader(context.Context, model.Request) (string, error)        { return "", nil }
func (m *memory) Peers(context.Context, model.Request) ([]string, error)       { return nil, nil }
func (m *memory) Datacenters(context.Context, model.Request) ([]string, error) { return nil, nil }

func (m *memory) register(tb testing.TB, node, status string) {
	tb.Helper()
	_, err := m.Apply(tb.Context(), model.Request{}, &command.Register{Registration: model.Registration{
		Node: model.Node{Node: model.NodeName(node), Address: "10.0.0.1", Datacenter: "dc1", Meta: map[string]string{"rack": "r1"}},
		Service: &model.Service{ID: "web", Service: "web", Port: 8080, Tags: []string{"v1", "prod"}, Meta: map[string]string{"version": "1.2.3"},
			Weights: model.Weights{Passing: 1, Warning: 1}},
		Checks: []*model.Check{{CheckID: "serfHealth", Name: "Serf Health Status", Status: model.StatusPassing},
			{CheckID: "service:web", Name: "Service 'web' check", Status: model.Status(status), ServiceID: "web", Output: "HTTP GET http://10.0.0.1:8080/: 200 OK"}}}})
	if err != nil {
		tb.Fatal(err)
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkHealthService is a health query on 80 instances, in the handler alone; floor is a handler that only
// writes the same bytes.
func BenchmarkHealthService(b *testing.B) {
	m := newMemory(b)
	for n := range 80 {
		m.register(b, fmt.Sprintf("node-%d", n), "passing")
	}
	api := httpapi.New(httpapi.Config{ControlPlane: m, Reads: m.reads, Log: hclog.NewNullLogger(), Datacenter: "dc1", DefaultAllow: true, DefaultAllowIntention: true})
	for _, c := range []struct{ name, path, encoding string }{
		{"plain", "/v1/health/service/web?passing", ""},
		{"gzip", "/v1/health/service/web?passing=1&stale", "gzip"},
		{"woken", "/v1/health/service/web?index=1&wait=60s", "gzip"},
		{"filter", "/v1/health/service/web?filter=Service.Meta.version==%221.2.3%22", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://127.0.0.1"+c.path, http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			if c.encoding != "" {
				r.Header.Set("Accept-Encoding", c.encoding)
			}
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				api.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkThroughNetHTTP is the same query over a loopback connection, beside a handler that only writes as many bytes.
func BenchmarkThroughNetHTTP(b *testing.B) {
	m := newMemory(b)
	for n := range 80 {
		m.register(b, fmt.Sprintf("node-%d", n), "passing")
	}
	api := httpapi.New(httpapi.Config{ControlPlane: m, Reads: m.reads, Log: hclog.NewNullLogger(), Datacenter: "dc1", DefaultAllow: true, DefaultAllowIntention: true})
	whole := httptest.NewRecorder()
	api.ServeHTTP(whole, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/health/service/web?passing", http.NoBody))
	body := whole.Body.Bytes()
	for name, h := range map[string]http.Handler{
		"api": api,
		"floor": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"application/json"}
			_, _ = w.Write(body)
		}),
	} {
		b.Run(name, func(b *testing.B) {
			s := httptest.NewServer(h)
			defer s.Close()
			client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				resp, err := client.Get(s.URL + "/v1/health/service/web?passing")
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
