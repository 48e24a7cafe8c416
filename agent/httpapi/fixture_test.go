package httpapi_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/agent/local"
	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/controlplane"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

const nodeID model.NodeID = "11111111-1111-1111-1111-111111111111"

// host is one agent that is its own server, in this process: the real consensus, state, views, registrations
// and checks, with the API in front.
type host struct {
	t      *testing.T
	server *controlplane.Server
	reads  *read.Set
	local  *local.State
	url    string
	api    *httpapi.API
	member model.Member
	dc     string

	mu     sync.Mutex
	leaves map[model.ServiceName]*model.LeafCert
	drains map[model.ServiceID]chan string
	left   bool
}

// options are what a test changes of the agent.
type options struct {
	scripts bool
	connect bool
	ca      map[string]any
	edit    func(*httpapi.Config)
}

func startHost(t *testing.T, o options) *host {
	t.Helper()
	h := &host{t: t, reads: read.New(), dc: "dc1", leaves: map[model.ServiceName]*model.LeafCert{}, drains: map[model.ServiceID]chan string{}}
	registry := prometheus.NewRegistry()
	config := httpapi.Config{
		ControlPlane: h, Agent: h, Mesh: h, Reads: h.reads, Log: hclog.NewNullLogger(), Metrics: registry, Gatherer: registry,
		Node: "node1", Datacenter: h.dc, Indent: true, DefaultAllow: true, DefaultAllowIntention: true, ConnectDisabled: !o.connect, PrometheusOff: true,
	}
	if o.edit != nil {
		o.edit(&config)
	}
	h.dc = config.Datacenter
	h.member = model.Member{Name: "node1", Addr: "127.0.0.1", Port: 8301, Status: model.MemberAlive,
		ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4,
		Tags: map[string]string{"acls": "0", "build": "1.21.4:", "dc": h.dc, "ft_fs": "1", "ft_si": "1", "grpc_port": "8502",
			"grpc_tls_port": "8503", "id": string(nodeID), "port": "8300", "raft_vsn": "3", "role": "consul", "segment": "",
			"vsn": "2", "vsn_max": "3", "vsn_min": "2", "wan_join_port": "8302"}}
	h.startServer(o)
	h.startLocal(o)
	config.Local = h.local
	h.api = httpapi.New(config)
	web := httptest.NewServer(h.api)
	h.url = web.URL
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	h.awaitReady()
	return h
}

func (h *host) startServer(o options) {
	_, transport := raft.NewInmemTransport("127.0.0.1:8300")
	s, err := controlplane.NewServer(controlplane.Config{
		Datacenter: h.dc, Reads: h.reads, Connect: o.connect, CAConfig: o.ca, DefaultWait: time.Minute, MaxWait: time.Minute,
		HoldTimeout: 5 * time.Second, Members: func() []model.Member { return []model.Member{h.member} }, Logger: hclog.NewNullLogger(),
		Raft: consensus.Config{ID: raft.ServerID(nodeID), Address: "127.0.0.1:8300", Transport: transport, Bootstrap: true, Logger: hclog.NewNullLogger()},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.server = s
	h.run(func(ctx context.Context) {
		if err := s.Run(ctx); err != nil {
			h.t.Error(err)
		}
	})
}

// run runs f until the test ends.
func (h *host) run(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	h.t.Cleanup(func() { cancel(); <-done })
}

func (h *host) startLocal(o options) {
	runner := checks.NewRunner(&checks.Env{Log: hclog.NewNullLogger(), Node: "node1", Scripts: o.scripts,
		Random: func(n time.Duration) time.Duration { return n - 1 }})
	h.t.Cleanup(runner.Close)
	node := &model.Node{ID: nodeID, Node: "node1", Address: "127.0.0.1", Datacenter: h.dc,
		TaggedAddresses: map[string]string{"lan": "127.0.0.1", "lan_ipv4": "127.0.0.1", "wan": "127.0.0.1", "wan_ipv4": "127.0.0.1"},
		Meta:            map[string]string{"consul-network-segment": "", "consul-version": "1.21.4"}}
	s, err := local.Open(local.Options{Log: hclog.NewNullLogger(), Node: node, Checks: runner})
	if err != nil {
		h.t.Fatal(err)
	}
	h.local = s
	h.t.Cleanup(s.Close)
	h.await("the catalog to know the server", func(n *model.NodeServices) bool { return n.Node != nil && len(n.Services) == 1 && len(n.Checks) == 1 })
	// An agent writes its metadata after the leader has written the node, so that the two have indexes of their own.
	first := *node
	first.Meta = map[string]string{"consul-version": "1.21.4"}
	if err := (catalog{h}).Register(h.t.Context(), model.Secret{}, &model.Registration{Node: first}); err != nil {
		h.t.Fatal(err)
	}
	syncer := local.NewSyncer(local.SyncerOptions{Log: hclog.NewNullLogger(), State: s, Catalog: catalog{h}, CheckUpdateInterval: 5 * time.Minute})
	h.run(syncer.Run)
	select {
	case <-syncer.Ready():
	case <-time.After(5 * time.Second):
		h.t.Fatal("the agent did not reach the catalog")
	}
}

// await waits until the catalog's record of this node is as wanted.
func (h *host) await(what string, ok func(*model.NodeServices) bool) {
	h.t.Helper()
	var min model.Index
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		req := model.Request{Read: model.ReadOptions{MinIndex: min, MaxWait: 100 * time.Millisecond}}
		r, _, err := h.server.Read(h.t.Context(), req, h.reads.Node.Query(read.NodeArgs{Node: "node1"}))
		if err != nil {
			h.t.Fatal(err)
		}
		if ok(h.reads.Node.Value(r)) {
			return
		}
		min = r.Index()
	}
	h.t.Fatal("timed out waiting for " + what)
}

func (h *host) awaitReady() {
	h.await("the node's metadata", func(n *model.NodeServices) bool { return n.Node != nil && len(n.Node.Meta) == 2 })
}

// catalog is the catalog as the syncer sees it.
type catalog struct{ h *host }

func (c catalog) NodeServices(ctx context.Context) (*model.NodeServices, error) {
	r, _, err := c.h.server.Read(ctx, model.Request{}, c.h.reads.Node.Query(read.NodeArgs{Node: "node1"}))
	if err != nil {
		return nil, err
	}
	if n := c.h.reads.Node.Value(r); n.Node != nil {
		return n, nil
	}
	return nil, nil
}

func (c catalog) Register(ctx context.Context, _ model.Secret, r *model.Registration) error {
	_, err := c.h.Apply(ctx, model.Request{}, &command.Register{Registration: *r})
	return err
}

func (c catalog) Deregister(ctx context.Context, _ model.Secret, r *model.Deregistration) error {
	_, err := c.h.Apply(ctx, model.Request{}, &command.Deregister{Deregistration: *r})
	return err
}

// The host as the API's control plane.

func (h *host) Read(ctx context.Context, req model.Request, q view.Query, from httpapi.Backend) (*view.Result, model.ReadMeta, error) {
	r, meta, err := h.server.Read(ctx, req, q)
	if from == httpapi.FromView {
		meta.Streaming, meta.KnownLeader = true, false
	}
	return r, meta, err
}

func (h *host) Apply(ctx context.Context, req model.Request, c command.Command) (command.Outcome, error) {
	o, err := h.server.Apply(ctx, req, c)
	if err == nil {
		err = o.Fault.Err()
	}
	return o, err
}

func (h *host) ConfigureCA(ctx context.Context, req model.Request, provider string, config map[string]any, _ bool) error {
	return h.server.ConfigureCA(ctx, req, provider, config)
}

func (h *host) known(req model.Request) error {
	if req.Datacenter != "" && req.Datacenter != h.dc {
		return fault.New(fault.NoPath, "No path to datacenter")
	}
	return nil
}

func (h *host) Leader(_ context.Context, req model.Request) (string, error) {
	return "127.0.0.1:8300", h.known(req)
}

func (h *host) Peers(_ context.Context, req model.Request) ([]string, error) {
	return []string{"127.0.0.1:8300"}, h.known(req)
}

func (h *host) Datacenters(context.Context, model.Request) ([]string, error) {
	return []string{h.dc}, nil
}

// The host as the agent.

func (h *host) Self() httpapi.Self {
	return httpapi.Self{Datacenter: h.dc, PrimaryDatacenter: h.dc, Node: "node1", NodeID: nodeID, Server: true, Member: h.member,
		Debug: map[string]any{"NodeName": "node1"}, Meta: map[string]string{"consul-network-segment": "", "consul-version": "1.21.4"},
		Coordinate: &httpapi.Coordinate{Vec: make([]float64, 8), Error: 1.5}, GRPCPort: 8502, GRPCTLSPort: 8503}
}

func (h *host) Members(wan bool) []model.Member {
	m := h.member
	if wan {
		m.Name, m.Port = "node1."+model.NodeName(h.dc), 8302
		m.Tags = map[string]string{}
		for k, v := range h.member.Tags {
			if k != "wan_join_port" {
				m.Tags[k] = v
			}
		}
	}
	return []model.Member{m}
}

func (h *host) Reload(context.Context, model.Request) (httpapi.Reloaded, error) {
	return httpapi.Reloaded{Applied: []string{"log_level"}, NeedsRestart: []string{"ports.http"}}, nil
}

func (h *host) Leave(context.Context, model.Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = true
	return nil
}

// The host as the mesh.

func (h *host) Leaf(ctx context.Context, req model.Request, service model.ServiceName, min model.Index, wait time.Duration) (*model.LeafCert, model.Index, error) {
	for deadline := time.Now().Add(max(wait, time.Millisecond)); ; time.Sleep(time.Millisecond) {
		leaf, err := h.leaf(ctx, req, service)
		if err != nil {
			return nil, 0, err
		}
		if min == 0 || leaf.RaftIndexes.ModifyIndex > min || time.Now().After(deadline) {
			return leaf, leaf.RaftIndexes.ModifyIndex, nil
		}
	}
}

func (h *host) leaf(ctx context.Context, req model.Request, service model.ServiceName) (*model.LeafCert, error) {
	req.Datacenter = ""
	req.Read.MinIndex = 0
	r, _, err := h.server.Read(ctx, req, h.reads.CARoots.Query(view.None{}))
	if err != nil {
		return nil, err
	}
	roots := h.reads.CARoots.Value(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.leaves[service]; l != nil && l.RootID == roots.ActiveRootID {
		return l, nil
	}
	id := model.ServiceSPIFFE(model.TrustDomain(roots.TrustDomain), h.dc, service)
	csr, err := certs.NewLeafRequest(nil, id, nil, certs.KeyParams{})
	if err != nil {
		return nil, err
	}
	l, err := h.server.Sign(ctx, req, csr.CSR, service)
	if err != nil {
		return nil, err
	}
	l.PrivateKeyPEM = csr.Key
	// Signing is a write where it was recorded, so that a leaf has an index of its own.
	o, err := h.Apply(ctx, req, &command.Register{Registration: model.Registration{
		Node: model.Node{Node: model.NodeName("leaf-of-" + service), Address: "127.0.0.1", Meta: map[string]string{"serial": l.SerialNumber}}}})
	if err != nil {
		return nil, err
	}
	l.RaftIndexes = model.RaftIndexes{CreateIndex: o.Index, ModifyIndex: o.Index}
	l.RootID = roots.ActiveRootID
	h.leaves[service] = l
	return l, nil
}

func (h *host) Proxies() []xds.ProxyStatus {
	return []xds.ProxyStatus{{Proxy: model.InstanceKey{ID: "web-sidecar-proxy"}, Connected: true, ConnectedSince: time.Unix(1700000000, 0),
		Types:    []xds.TypeStatus{{Type: xds.TypeListener, Acked: map[string]string{"public_listener": "1"}}},
		LastNACK: &xds.NACK{Type: xds.TypeListener, Names: []string{"public_listener"}, Reason: "bad <listener>", Time: time.Unix(1700000001, 0)}}}
}

func (h *host) DrainProxy(_ context.Context, id model.ServiceID) (<-chan string, func(), error) {
	if !strings.HasSuffix(string(id), "-sidecar-proxy") {
		return nil, nil, fault.New(fault.NotFound, "unknown proxy %q", id)
	}
	ch := make(chan string)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drains[id] = ch
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.drains, id)
	}, nil
}

// hostFor starts the agent that a recorded configuration describes.
func hostFor(t *testing.T, config string) *host {
	o := options{connect: true}
	switch config {
	case "dev":
	case "nostream":
		o.edit = func(c *httpapi.Config) { c.StreamingDisabled = true }
	case "noconnect":
		o.connect = false
	case "plain":
		o.edit = func(c *httpapi.Config) { c.Indent = false }
	case "metrics":
		o.edit = func(c *httpapi.Config) { c.PrometheusOff = false }
	case "scripts":
		o.scripts = true
	case "ca-custom":
		o.ca = map[string]any{"LeafCertTTL": "24h"}
	case "custom":
		o.edit = func(c *httpapi.Config) {
			c.Datacenter = "dc7"
			c.ResponseHeaders = map[string]string{"Access-Control-Allow-Origin": "*"}
			c.BlockEndpoints = []string{"/v1/agent/self"}
			c.AllowWriteFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			c.TranslateWAN = true
		}
	default:
		t.Fatalf("no agent for configuration %q", config)
	}
	return startHost(t, o)
}
