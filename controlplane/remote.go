package controlplane

import (
	"context"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/rpc"
)

// RemoteConfig is what a Remote is made of.
type RemoteConfig struct {
	Datacenter string
	Reads      *read.Set
	// HoldTimeout bounds the wait for a server that answers.
	HoldTimeout time.Duration
	// Servers lists the servers that the gossip pool knows, and Agents counts its members.
	Servers func() []rpc.ServerAddr
	Agents  func() int
	// TLS is how servers are dialed; nil is plainly.
	Pool   rpc.PoolConfig
	Logger hclog.Logger
}

// Remote stands in for the Server on an agent that has none: it asks servers over RPC, and mirrors their views
// over one stream.
type Remote struct {
	config  RemoteConfig
	all     []view.Read
	pool    *rpc.Pool
	servers *rpc.Servers
	client  *rpc.Client
	feed    *rpc.Feed
	mirror  *view.Mirror
	// heard is when the stream last brought something, in Unix nanoseconds; 0 is never.
	heard  atomic.Int64
	logger hclog.Logger
}

// NewRemote returns a stand-in that knows no server yet. Run must follow.
func NewRemote(c RemoteConfig) *Remote {
	r := &Remote{config: c, all: c.Reads.All(), pool: rpc.NewPool(c.Pool), logger: c.Logger}
	r.servers = rpc.NewServers(func(n int) int { return mathrand.IntN(n) })
	r.client = rpc.NewClient(rpc.ClientConfig{Pool: r.pool, Route: r.route, Hold: c.HoldTimeout, Logger: c.Logger})
	r.feed = rpc.NewFeed(rpc.FeedConfig{Pool: r.pool, Servers: r.servers, Deliver: r.deliver, Logger: c.Logger})
	r.mirror = view.NewMirror(orders{r.feed}, r.all)
	r.MembersChanged()
	return r
}

// orders passes a mirror's subscriptions on to the feed.
type orders struct{ feed *rpc.Feed }

// Subscribe implements view.Upstream.
func (o orders) Subscribe(q view.Query, resume model.Index) { o.feed.Subscribe(rpc.Query(q), resume) }

// Unsubscribe implements view.Upstream.
func (o orders) Unsubscribe(q view.Query) { o.feed.Unsubscribe(rpc.Query(q)) }

func (r *Remote) route(datacenter string) (*rpc.Servers, error) {
	if datacenter != "" && datacenter != r.config.Datacenter {
		return nil, fault.New(fault.NoPath, "No path to datacenter").
			WithHint("this agent is of datacenter %q and knows no %q", r.config.Datacenter, datacenter)
	}
	return r.servers, nil
}

// deliver puts what the stream brought into the mirror.
func (r *Remote) deliver(q rpc.Query, u *rpc.Update) {
	r.heard.Store(time.Now().UnixNano())
	if err := u.Fault.Err(); err != nil {
		r.logger.Warn("a view cannot be followed", "read", q.Read, "error", err)
		return
	}
	if err := r.mirror.Deliver(view.Query(q), u.Meta.Index, u.Body, u.Fresh); err != nil {
		r.logger.Error("a view's update", "read", q.Read, "error", err)
	}
}

// MembersChanged takes the servers from the gossip pool anew.
func (r *Remote) MembersChanged() { r.servers.Set(r.config.Servers()) }

// Run keeps the stream to a server until ctx ends.
func (r *Remote) Run(ctx context.Context) error {
	defer r.pool.Close()
	mirror := make(chan struct{})
	go func() { defer close(mirror); r.mirror.Run(ctx) }()
	rebalance := make(chan struct{})
	go func() { defer close(rebalance); r.rebalance(ctx) }()
	r.feed.Run(ctx)
	<-mirror
	<-rebalance
	return nil
}

// rebalance moves the agent to another server now and then, so that the agents spread again after one was away.
func (r *Remote) rebalance(ctx context.Context) {
	for {
		t := time.NewTimer(rpc.RebalanceAfter(r.config.Agents(), len(r.servers.All()), mathrand.Float64()))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
			r.servers.Rebalance()
		}
	}
}

// Views is the source of the agent's own views.
func (r *Remote) Views() view.Source { return r.mirror }

// Read asks a server.
func (r *Remote) Read(ctx context.Context, req model.Request, q view.Query) (*view.Result, model.ReadMeta, error) {
	reply, err := r.client.Read(ctx, &rpc.ReadRequest{Request: rpc.RequestOf(req), Read: q.Read, Args: []byte(q.Args)})
	if err != nil {
		return nil, model.ReadMeta{Mode: req.Read.Mode}, err
	}
	result, err := view.Decode(r.all, q, reply.Meta.Index, reply.Body)
	return result, reply.Meta, err
}

// ReadView answers from the agent's own view, which follows a server's. With no server there, it answers from the
// last state, and its LastContact says how old that is.
func (r *Remote) ReadView(ctx context.Context, req model.Request, q view.Query, wait time.Duration) (*view.Result, model.ReadMeta, error) {
	meta := model.ReadMeta{Mode: req.Read.Mode, Streaming: true}
	if _, err := r.route(req.Datacenter); err != nil {
		return nil, meta, err
	}
	result, err := r.mirror.Fetch(ctx, q, req.Read.MinIndex, wait)
	if err != nil {
		return nil, meta, err
	}
	meta.Index = result.Index()
	if r.feed.Server() == "" {
		meta.LastContact = time.Since(time.Unix(0, r.heard.Load()))
	}
	return result, meta, nil
}

// Apply sends a command to the leader.
func (r *Remote) Apply(ctx context.Context, req model.Request, c command.Command) (command.Outcome, error) {
	var outcome command.Outcome
	if err := c.Validate(); err != nil {
		return outcome, err
	}
	body, err := c.MarshalMsg(nil)
	if err != nil {
		return outcome, fault.New(fault.Internal, "encoding a command: %w", err)
	}
	reply, err := r.client.Apply(ctx, &rpc.ApplyRequest{Request: rpc.RequestOf(req), RequestID: requestID(), Kind: uint8(c.Kind()), Body: body})
	if err != nil {
		return outcome, err
	}
	if _, err := outcome.UnmarshalMsg(reply.Result); err != nil {
		return outcome, fault.New(fault.Internal, "the outcome of a write does not decode: %w", err)
	}
	return outcome, outcome.Fault.Err()
}

// Sign has a server certify a key.
func (r *Remote) Sign(ctx context.Context, req model.Request, csr string, service model.ServiceName) (*model.LeafCert, error) {
	reply, err := r.client.Sign(ctx, &rpc.SignRequest{Request: rpc.RequestOf(req), Service: service, CSR: csr})
	if err != nil {
		return nil, err
	}
	return &reply.Leaf, nil
}

// ConfigureCA changes the authority's configuration.
func (r *Remote) ConfigureCA(ctx context.Context, req model.Request, provider string, config map[string]any) error {
	_, err := rpc.Invoke[caSettings, nothing](ctx, r.client, req, callConfigureCA, &caSettings{provider, config}, rpc.CallOptions{Leader: true, Once: true})
	return err
}

// Status asks a server about the consensus.
func (r *Remote) Status(ctx context.Context, req model.Request) (*Status, error) {
	return rpc.Invoke[nothing, Status](ctx, r.client, req, callStatus, &nothing{}, rpc.CallOptions{})
}

// KnownServers are the servers that the agent may turn to.
func (r *Remote) KnownServers() []rpc.ServerAddr { return r.servers.All() }
