package meshtest

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// ADS is a delta ADS server for tests: it sends each stream what it subscribed to, and holds it to the protocol.
type ADS struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t    testing.TB
	addr string

	mu        sync.Mutex
	server    *grpc.Server
	version   int
	resources map[string]map[string]*discoveryv3.Resource // type, name
	streams   map[*stream]bool
	log       []Request
	refuse    error
}

// Request is a request as the server saw it, with what the stream's metadata said.
type Request struct {
	*discoveryv3.DeltaDiscoveryRequest
	Token  []string
	Stream int
}

type stream struct {
	number     int
	wildcard   map[string]bool
	subscribed map[string]map[string]bool
	sent       map[string]map[string]string // type, name, version
	pending    map[string]bool              // nonces that want an answer
	nonce      int
	changed    chan struct{}
}

// NewADS starts a server on a loopback port.
func NewADS(t testing.TB) *ADS {
	a := &ADS{t: t, addr: "127.0.0.1:0", resources: make(map[string]map[string]*discoveryv3.Resource), streams: make(map[*stream]bool)}
	a.Start()
	t.Cleanup(a.Stop)
	return a
}

// Addr is where the server listens; it stays the same over Stop and Start.
func (a *ADS) Addr() string { return a.addr }

// Start serves, after New or Stop.
func (a *ADS) Start() {
	l, err := net.Listen("tcp", a.addr)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addr, a.server = l.Addr().String(), grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(a.server, a)
	server := a.server
	go func() { _ = server.Serve(l) }()
}

// Stop ends all streams and closes the port.
func (a *ADS) Stop() {
	a.mu.Lock()
	server := a.server
	a.mu.Unlock()
	server.Stop()
}

// Refuse makes each new stream end with err, until it is nil again.
func (a *ADS) Refuse(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = err
}

// Set makes a resource current.
func (a *ADS) Set(name string, m proto.Message) {
	body, err := anypb.New(m)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.resources[body.TypeUrl] == nil {
		a.resources[body.TypeUrl] = make(map[string]*discoveryv3.Resource)
	}
	a.version++
	a.resources[body.TypeUrl][name] = &discoveryv3.Resource{Name: name, Version: strconv.Itoa(a.version), Resource: body}
	a.wake()
}

// Remove makes a resource of the type go.
func (a *ADS) Remove(typeURL, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.resources[typeURL], name)
	a.wake()
}

func (a *ADS) wake() {
	for s := range a.streams {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// Requests returns what was asked for a type, on all streams, in order.
func (a *ADS) Requests(typeURL string) []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []Request
	for _, r := range a.log {
		if r.GetTypeUrl() == typeURL {
			found = append(found, r)
		}
	}
	return found
}

// Settled tells whether each response was answered, on at least one open stream.
func (a *ADS) Settled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.streams {
		if len(s.pending) > 0 {
			return false
		}
	}
	return len(a.streams) > 0
}

// DeltaAggregatedResources implements the service.
func (a *ADS) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	md, _ := metadata.FromIncomingContext(g.Context())
	s := &stream{wildcard: map[string]bool{}, subscribed: map[string]map[string]bool{}, sent: map[string]map[string]string{},
		pending: map[string]bool{}, changed: make(chan struct{}, 1)}
	a.mu.Lock()
	if err := a.refuse; err != nil {
		a.mu.Unlock()
		return err
	}
	a.streams[s] = true
	s.number = len(a.log)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.streams, s)
		a.mu.Unlock()
	}()
	requests := make(chan *discoveryv3.DeltaDiscoveryRequest)
	go func() {
		defer close(requests)
		for {
			r, err := g.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- r:
			case <-g.Context().Done():
				return
			}
		}
	}()
	for {
		select {
		case r, ok := <-requests:
			if !ok {
				return nil
			}
			if err := a.take(s, r, md.Get("x-consul-token")); err != nil {
				a.t.Error("the client broke the protocol: ", err)
				return err
			}
		case <-s.changed:
		}
		for _, resp := range a.due(s) {
			if err := g.Send(resp); err != nil {
				return err
			}
		}
	}
}

// take records a request and holds it to the rules.
func (a *ADS) take(s *stream, r *discoveryv3.DeltaDiscoveryRequest, token []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, Request{r, token, s.number})
	url := r.GetTypeUrl()
	first := s.sent[url] == nil
	if len(s.sent) == 0 && r.GetNode() == nil {
		return fmt.Errorf("the first request has no node")
	}
	if n := r.GetResponseNonce(); n != "" {
		if !s.pending[n] {
			return fmt.Errorf("the nonce %q answers nothing", n)
		}
		delete(s.pending, n)
	} else if r.GetErrorDetail() != nil {
		return fmt.Errorf("a NACK without a nonce")
	}
	if !first && len(r.GetInitialResourceVersions()) > 0 {
		return fmt.Errorf("initial versions on a later request of %s", url)
	}
	if first {
		s.sent[url] = make(map[string]string)
		s.subscribed[url] = make(map[string]bool)
		s.wildcard[url] = len(r.GetResourceNamesSubscribe()) == 0
		for name, version := range r.GetInitialResourceVersions() {
			s.sent[url][name] = version
		}
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if s.subscribed[url][name] {
			return fmt.Errorf("%s is subscribed to twice", name)
		}
		s.subscribed[url][name] = true
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		if !s.subscribed[url][name] {
			return fmt.Errorf("%s was not subscribed to", name)
		}
		delete(s.subscribed[url], name)
		delete(s.sent[url], name)
	}
	return nil
}

// due returns what the stream has not got yet.
func (a *ADS) due(s *stream) (responses []*discoveryv3.DeltaDiscoveryResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for url, sent := range s.sent {
		resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url}
		for name, r := range a.resources[url] {
			if (s.wildcard[url] || s.subscribed[url][name]) && sent[name] != r.GetVersion() {
				resp.Resources = append(resp.Resources, r)
				sent[name] = r.GetVersion()
			}
		}
		for name := range sent {
			if a.resources[url][name] == nil {
				resp.RemovedResources = append(resp.RemovedResources, name)
				delete(sent, name)
			}
		}
		if len(resp.Resources)+len(resp.RemovedResources) > 0 {
			s.nonce++
			resp.Nonce = fmt.Sprintf("%d/%d", s.number, s.nonce)
			s.pending[resp.Nonce] = true
			responses = append(responses, resp)
		}
	}
	return responses
}
