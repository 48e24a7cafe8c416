// Package adstest is a delta ADS client for tests, on the generated stubs. It behaves as Envoy does (it asks
// for clusters and listeners, then for what these refer to, and answers every response), keeps what it was
// told, and records each breach of the protocol's rules. It shares no code with the server nor with the
// native proxy.
//
// The rules are those of https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol: nonces, only
// what was asked for, nothing sent again unasked, removal, and make-before-break between the types.
package adstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// The type URLs that the client knows.
const (
	Clusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	Endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	Listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
	Routes    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	Secrets   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// Options say how the client behaves.
type Options struct {
	// Node is the service ID of the proxy that the client stands for; NodeName goes to its metadata.
	Node, NodeName string
	// Token is sent as x-consul-token when set.
	Token string
	// Initial are the versions that the client pretends to hold from an earlier stream, by type URL.
	Initial map[string]map[string]string
	// Passive clients subscribe to nothing by themselves.
	Passive bool
	// Refuse returns the reason to NACK a response with, or "". It is called from the client's goroutine.
	Refuse func(*discoveryv3.DeltaDiscoveryResponse) string
	// Hold tells not to answer a response; Release answers later.
	Hold func(*discoveryv3.DeltaDiscoveryResponse) bool
}

// Event is a response as it came.
type Event struct {
	Type           string
	Names, Removed []string
	Nonce          string
}

// Client is one stream.
type Client struct {
	options Options
	stream  discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when anything below changes
	types   map[string]*typeState
	nonces  map[string]bool
	events  []Event
	held    []*discoveryv3.DeltaDiscoveryRequest
	faults  []error
	err     error
	named   bool // the node was sent
}

// typeState is what the client asked for and holds of one type.
type typeState struct {
	asked    bool
	wildcard bool
	names    map[string]bool
	// again are names that the client asked to have sent again, or whose response it refused.
	again map[string]bool
	// dropped are names that the client gave up: a response about them may have been on its way.
	dropped map[string]bool
	// absent are names of which the server said that there is no such resource.
	absent map[string]bool
	have   map[string]held
}

type held struct {
	version string
	message proto.Message
	bytes   []byte
}

// Open starts a stream over conn. Unless passive, the client subscribes to all clusters and listeners. The
// stream ends with ctx, or by Close.
func Open(ctx context.Context, conn grpc.ClientConnInterface, o Options) (*Client, error) {
	ctx, cancel := context.WithCancel(ctx)
	if o.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", o.Token)
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	c := &Client{options: o, stream: stream, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}),
		types: make(map[string]*typeState), nonces: make(map[string]bool)}
	for _, url := range []string{Clusters, Endpoints, Listeners, Routes, Secrets} {
		c.types[url] = &typeState{names: make(map[string]bool), again: make(map[string]bool), dropped: make(map[string]bool),
			absent: make(map[string]bool), have: make(map[string]held)}
	}
	if !o.Passive {
		for _, url := range []string{Clusters, Listeners} {
			if err := c.Subscribe(url); err != nil {
				cancel()
				return nil, err
			}
		}
	}
	go c.receive()
	return c, nil
}

// Close ends the stream and waits for the client's goroutine.
func (c *Client) Close() {
	c.cancel()
	<-c.done
}

// Subscribe asks for names of a type; without names, and for the first time, for all of it.
func (c *Client) Subscribe(url string, names ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(c.subscription(url, names, nil))
}

// Unsubscribe gives up names of a type.
func (c *Client) Unsubscribe(url string, names ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(c.subscription(url, nil, names))
}

// subscription changes the state and makes the request. Called with mu held, as are send and what follows
// in the files of this package unless it is exported.
func (c *Client) subscription(url string, names, drop []string) *discoveryv3.DeltaDiscoveryRequest {
	t := c.types[url]
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResourceNamesSubscribe: names, ResourceNamesUnsubscribe: drop}
	if !t.asked {
		t.asked, t.wildcard = true, len(names) == 0
		req.InitialResourceVersions = c.options.Initial[url]
	}
	for _, n := range names {
		if n == "*" {
			t.wildcard = true
			continue
		}
		t.again[n] = t.names[n]
		t.names[n] = true
		delete(t.dropped, n)
	}
	for _, n := range drop {
		delete(t.names, n)
		t.dropped[n] = true
		delete(t.have, n)
		t.again[n] = t.wildcard
	}
	return req
}

func (c *Client) send(req *discoveryv3.DeltaDiscoveryRequest) error {
	if !c.named {
		c.named = true
		req.Node = &corev3.Node{Id: c.options.Node}
		if c.options.NodeName != "" {
			req.Node.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"node_name": structpb.NewStringValue(c.options.NodeName)}}
		}
	}
	// EOF says that the stream has ended meanwhile, here or there: the receiver is told how.
	if err := c.stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (c *Client) receive() {
	defer close(c.done)
	for {
		resp, err := c.stream.Recv()
		c.mu.Lock()
		if err != nil {
			c.err = err
			c.signal()
			c.mu.Unlock()
			return
		}
		if err := c.accept(resp); err != nil {
			c.fault("answering: %v", err)
		}
		c.signal()
		c.mu.Unlock()
	}
}

func (c *Client) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// accept checks and keeps a response, answers it, and follows its references.
func (c *Client) accept(resp *discoveryv3.DeltaDiscoveryResponse) error {
	event := Event{Type: resp.TypeUrl, Removed: slices.Clone(resp.RemovedResources), Nonce: resp.Nonce}
	for _, r := range resp.Resources {
		event.Names = append(event.Names, r.Name)
	}
	c.events = append(c.events, event)
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce}
	t := c.check(resp)
	if t == nil {
		return nil
	}
	if c.options.Refuse != nil {
		if reason := c.options.Refuse(resp); reason != "" {
			answer.ErrorDetail = &statuspb.Status{Code: 3, Message: reason}
			for _, name := range event.Names {
				t.again[name] = true
			}
			return c.send(answer)
		}
	}
	c.keep(t, resp)
	if c.options.Hold != nil && c.options.Hold(resp) {
		c.held = append(c.held, answer)
		return nil
	}
	if err := c.send(answer); err != nil || c.options.Passive {
		return err
	}
	return c.follow()
}

// follow asks for what clusters and listeners refer to, and gives up what they do not any more.
func (c *Client) follow() error {
	want := map[string]map[string]bool{Endpoints: {}, Secrets: {}, Routes: {}}
	for _, url := range []string{Clusters, Listeners} {
		for _, h := range c.types[url].have {
			for _, ref := range references(h.message) {
				if want[ref.url] != nil {
					want[ref.url][ref.name] = true
				}
			}
		}
	}
	for url, names := range want {
		var add, drop []string
		for n := range names {
			if !c.types[url].names[n] {
				add = append(add, n)
			}
		}
		for n := range c.types[url].names {
			if !names[n] {
				drop = append(drop, n)
			}
		}
		if len(add)+len(drop) > 0 {
			if err := c.send(c.subscription(url, add, drop)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Release answers the responses that were held back.
func (c *Client) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, answer := range c.held {
		if err := c.send(answer); err != nil {
			return err
		}
	}
	c.held = nil
	if c.options.Passive {
		return nil
	}
	return c.follow()
}

// Wait returns when cond, which may use the client's other methods, is true; the error is that of ctx or of
// the stream, with the breaches of the protocol so far.
func (c *Client) Wait(ctx context.Context, cond func() bool) error {
	for {
		c.mu.Lock()
		changed, err := c.changed, c.err
		c.mu.Unlock()
		if cond() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("stream ended: %w", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w; responses: %v; faults: %v", ctx.Err(), c.Events(), c.Faults())
		}
	}
}

// Err returns what the stream ended with, nil while it is open.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Events returns the responses in the order in which they came.
func (c *Client) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// Faults returns the breaches of the protocol's rules so far.
func (c *Client) Faults() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.faults)
}

// Versions returns the versions of what the client holds of a type, by name.
func (c *Client) Versions(url string) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]string)
	for name, h := range c.types[url].have {
		out[name] = h.version
	}
	return out
}

// Get returns a resource that the client holds, nil when it does not. It must not be changed.
func (c *Client) Get(url, name string) proto.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.types[url].have[name]; ok {
		return h.message
	}
	return nil
}

// Ready tells that the client holds a listener, and all that its clusters and listeners refer to.
func (c *Client) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.types[Listeners].have) > 0 && len(c.missing()) == 0
}

// missing lists references without a resource.
func (c *Client) missing() []reference {
	var out []reference
	for _, url := range []string{Clusters, Listeners, Routes} {
		for _, h := range c.types[url].have {
			for _, ref := range references(h.message) {
				if _, ok := c.types[ref.url].have[ref.name]; !ok {
					out = append(out, ref)
				}
			}
		}
	}
	return out
}
