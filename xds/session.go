package xds

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model"
)

var errClosing = status.Error(codes.Unavailable, "the agent is shutting down")

// tokenKey is the gRPC metadata that carries the token.
const tokenKey = "x-consul-token"

// session runs one stream: it feeds the conversation from the client and the source, and sends what comes
// out. Its goroutine is the gRPC handler's; a second one receives, and ends with the stream.
type session struct {
	server *Server
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	log    hclog.Logger
	since  time.Time
	// sub and changed follow the proxy once the first request named it.
	sub     Subscription
	changed <-chan struct{}
	// silent tells that the log has said why nothing is sent.
	silent bool
	// waits logs a wait that has lasted.
	waits *time.Timer

	// mu guards what status and holds read from other goroutines. It is not held while sending.
	mu       sync.Mutex
	proxy    model.InstanceKey
	talk     *conversation
	lastNACK *NACK
}

func newSession(s *Server, stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) *session {
	return &session{
		server: s, stream: stream, log: s.log, since: time.Now(),
		talk: newConversation(bounds{names: s.cfg.MaxNames, responseBytes: maxResponseBytes, orderWait: s.cfg.OrderWait, ackWait: s.cfg.AckWait}),
	}
}

// run serves the stream. It returns nil when the client ended it in order.
func (x *session) run(ctx context.Context) error {
	requests := make(chan *discoveryv3.DeltaDiscoveryRequest)
	ended := make(chan error, 1)
	go x.receive(ctx, requests, ended)
	defer func() {
		if x.sub != nil {
			x.sub.Close()
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var err error
		select {
		case req := <-requests:
			err = x.take(ctx, req)
		case err = <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
		case <-x.changed:
			err = x.refresh(ctx)
		case <-timer.C:
		case <-ctx.Done():
			err = status.FromContextError(ctx.Err()).Err()
		case <-x.server.closing:
			err = errClosing
		}
		if err != nil {
			return err
		}
		wake, err := x.push()
		if err != nil {
			return err
		}
		timer.Stop()
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
		}
	}
}

// receive passes on what the client sends until the stream ends.
func (x *session) receive(ctx context.Context, out chan<- *discoveryv3.DeltaDiscoveryRequest, ended chan<- error) {
	for {
		req, err := x.stream.Recv()
		if err != nil {
			ended <- err
			return
		}
		select {
		case out <- req:
		case <-ctx.Done():
			return
		}
	}
}

// take handles one request.
func (x *session) take(ctx context.Context, req *discoveryv3.DeltaDiscoveryRequest) error {
	if x.sub == nil {
		if err := x.open(ctx, req); err != nil {
			return err
		}
	}
	t, known := typeOf(req.GetTypeUrl())
	if !known {
		x.log.Debug("xDS request for a type that is not served", "type", req.GetTypeUrl())
		return nil
	}
	now := time.Now()
	x.mu.Lock()
	a, ok, err := x.talk.request(t, req, now)
	if ok && a.nack {
		x.lastNACK = &NACK{Type: t, Names: a.names, Reason: a.refusal, Time: now}
	}
	x.mu.Unlock()
	if err != nil {
		return statusOf(err)
	}
	if ok && a.nack {
		x.server.metrics.nacks.WithLabelValues(t.String()).Inc()
		x.log.Error("proxy refused its configuration", "type", t, "resources", a.names, "reason", a.refusal)
	}
	if t == TypeEndpoint {
		x.server.moved(x)
	}
	return nil
}

// maxNodeID is the longest id of a proxy in bytes.
const maxNodeID = 512

// open starts to follow the proxy that the first request names.
func (x *session) open(ctx context.Context, req *discoveryv3.DeltaDiscoveryRequest) error {
	id := req.GetNode().GetId()
	if id == "" || len(id) > maxNodeID {
		return status.Error(codes.InvalidArgument, "the first request must name the proxy: node.id is its service ID")
	}
	node := req.GetNode().GetMetadata().GetFields()["node_name"].GetStringValue()
	key := model.InstanceKey{Node: model.NodeName(node), ID: model.ServiceID(id)}
	x.log = x.log.With("proxy", key.ID)
	request := model.Request{Read: model.ReadOptions{Mode: model.ConsistencyStale}}
	if tokens := metadata.ValueFromIncomingContext(ctx, tokenKey); len(tokens) > 0 {
		request.Token = model.NewSecret(tokens[0])
	}
	sub, err := x.server.cfg.Source.Watch(ctx, request, key)
	if err != nil {
		x.log.Warn("xDS stream refused", "error", err)
		return statusOf(err)
	}
	x.sub = sub
	x.server.mu.Lock()
	earlier := x.server.departed[key]
	delete(x.server.departed, key)
	x.server.mu.Unlock()
	x.mu.Lock()
	x.proxy, x.lastNACK = key, earlier.LastNACK
	x.mu.Unlock()
	return x.refresh(ctx)
}

// refresh takes the newest snapshot of the proxy.
func (x *session) refresh(ctx context.Context) error {
	snapshot, changed, err := x.sub.Current()
	if err != nil {
		x.log.Warn("xDS stream ended by its source", "error", err)
		return statusOf(err)
	}
	x.changed = changed
	previous := x.talk.resources // written by this goroutine only
	if snapshot == nil {
		x.explainSilence(previous != nil)
		return nil
	}
	x.silent = false
	x.stopWaiting()
	resources, err := x.build(ctx, snapshot, previous)
	if err != nil {
		if _, isStatus := status.FromError(err); isStatus {
			return err
		}
		x.log.Error("no configuration for the proxy", "error", err)
		return nil
	}
	x.report(resources, previous)
	x.mu.Lock()
	x.talk.update(resources)
	x.mu.Unlock()
	return nil
}

// waitsAfter is how long a stream without configuration waits before the log says so.
const waitsAfter = time.Second

// stopWaiting takes back the line about a wait that is over.
func (x *session) stopWaiting() {
	if x.waits != nil {
		x.waits.Stop()
	}
}

func (x *session) explainSilence(hadState bool) {
	if x.silent {
		return
	}
	x.silent = true
	if hadState {
		x.log.Warn("proxy is not registered any more; it keeps its last configuration")
	} else {
		// A proxy that starts waits for its certificate for some milliseconds; what is worth a line lasts longer.
		x.waits = time.AfterFunc(waitsAfter, func() {
			x.log.Info("xDS stream waits: the proxy is not registered yet, or its certificate is not ready")
		})
	}
}

// build makes the resources; the first ones of a stream wait their turn.
func (x *session) build(ctx context.Context, snapshot *Snapshot, previous *Resources) (*Resources, error) {
	if previous == nil {
		if err := x.server.acquireFirst(ctx); err != nil {
			return nil, err
		}
		defer func() { <-x.server.first }()
	}
	return Build(snapshot, previous)
}

// report logs the problems that are new.
func (x *session) report(now, before *Resources) {
	for _, p := range now.Problems {
		known := before != nil && slices.ContainsFunc(before.Problems, func(o error) bool { return o.Error() == p.Error() })
		if !known {
			x.log.Warn("part of the proxy's configuration is left out", "problem", p)
		}
	}
}

// push sends all that may be sent now. wake is when to try again.
func (x *session) push() (wake time.Time, err error) {
	for {
		x.mu.Lock()
		resp, wake := x.talk.next(time.Now())
		x.mu.Unlock()
		if resp == nil {
			return wake, nil
		}
		t, _ := typeOf(resp.TypeUrl)
		if x.log.IsDebug() {
			x.log.Debug("push", "type", t, "resources", len(resp.Resources), "removed", resp.RemovedResources, "nonce", resp.Nonce)
		}
		if err := x.stream.Send(resp); err != nil {
			return wake, err
		}
		x.server.metrics.pushes.WithLabelValues(t.String()).Inc()
		if t == TypeEndpoint {
			x.server.moved(x)
		}
	}
}

// holds tells whether the client may still send traffic to an endpoint.
func (x *session) holds(service model.ServiceName, addr netip.AddrPort) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.talk.holds(service, addr)
}

// status describes the session; its proxy is empty until the first request.
func (x *session) status() ProxyStatus {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := ProxyStatus{Proxy: x.proxy, Connected: true, ConnectedSince: x.since, Waiting: x.talk.resources == nil,
		Types: x.talk.status(), LastNACK: x.lastNACK}
	if from, ok := peer.FromContext(x.stream.Context()); ok {
		p.Peer = from.Addr.String()
	}
	if x.talk.resources != nil {
		for _, problem := range x.talk.resources.Problems {
			p.Problems = append(p.Problems, problem.Error())
		}
	}
	return p
}
