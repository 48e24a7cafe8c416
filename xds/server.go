package xds

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Config is what a server is made of. Source and Logger are needed, the rest has defaults.
type Config struct {
	Source Source
	Logger hclog.Logger
	// Registerer takes the server's metrics; nil keeps none.
	Registerer prometheus.Registerer
	// MaxStreams bounds the open streams (default 10,000).
	MaxStreams int
	// FirstResponses bounds how many streams have their first resources made at a time (default: one for
	// each processor), so that a storm of reconnecting proxies does not hold up those that are connected.
	FirstResponses int
	// MaxNames bounds the names in a subscription (default 20,000).
	MaxNames int
	// OrderWait bounds how long listeners wait for what they refer to (default 500 ms).
	OrderWait time.Duration
	// AckWait is how long a response that nobody answers holds back the next (default 15 s).
	AckWait time.Duration
}

func (c Config) withDefaults() Config {
	c.MaxStreams = positive(c.MaxStreams, 10_000)
	c.FirstResponses = positive(c.FirstResponses, runtime.GOMAXPROCS(0))
	c.MaxNames = positive(c.MaxNames, 20_000)
	c.OrderWait = positive(c.OrderWait, 500*time.Millisecond)
	c.AckWait = positive(c.AckWait, 15*time.Second)
	return c
}

func positive[N int | time.Duration](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}

// maxResponseBytes is about what one response holds; gRPC clients take 4 MiB by default.
const maxResponseBytes = 1 << 20

// Server serves delta ADS. Make it by NewServer, register it, and Close it before the gRPC server is
// stopped gracefully: streams do not end by themselves.
type Server struct {
	// The state-of-the-world variant answers Unimplemented.
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	cfg     Config
	log     hclog.Logger
	metrics *metrics
	// first admits the making of first responses.
	first chan struct{}
	// closing is closed by Close.
	closing   chan struct{}
	closeOnce sync.Once
	// releasing tells that there are releases, without taking the lock.
	releasing atomic.Bool

	mu       sync.Mutex
	sessions map[*session]struct{}
	departed map[model.InstanceKey]ProxyStatus
	releases map[*release]struct{}
}

// NewServer makes a server; it owns no listener and no goroutine until streams come.
func NewServer(cfg Config) *Server {
	cfg = cfg.withDefaults()
	return &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		metrics:  newMetrics(cfg.Registerer),
		first:    make(chan struct{}, cfg.FirstResponses),
		closing:  make(chan struct{}),
		sessions: make(map[*session]struct{}),
		departed: make(map[model.InstanceKey]ProxyStatus),
		releases: make(map[*release]struct{}),
	}
}

// Register adds the discovery service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(r, s)
}

// ServerOptions are the limits that the gRPC server should be made with: message size, keepalive and what is
// accepted of it, streams on a connection.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(4 << 20),
		grpc.MaxHeaderListSize(32 << 10),
		grpc.MaxConcurrentStreams(256),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
	}
}

// Close ends all streams with Unavailable, and refuses new ones.
func (s *Server) Close() { s.closeOnce.Do(func() { close(s.closing) }) }

// DeltaAggregatedResources serves one stream until either side ends it.
func (s *Server) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) (err error) {
	x := newSession(s, stream)
	if !s.admit(x) {
		s.metrics.refused.Inc()
		return status.Error(codes.ResourceExhausted, "too many xDS streams on this agent")
	}
	defer s.leave(x)
	defer func() {
		// A fault in one proxy's stream must not end the others'.
		if r := recover(); r != nil {
			s.log.Error("xDS stream failed", "proxy", x.proxy.ID, "panic", r, "stack", string(stack()))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	return x.run(stream.Context())
}

func stack() []byte {
	b := make([]byte, 16<<10)
	return b[:runtime.Stack(b, false)]
}

func (s *Server) admit(x *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= s.cfg.MaxStreams {
		return false
	}
	s.sessions[x] = struct{}{}
	s.metrics.streams.Set(float64(len(s.sessions)))
	return true
}

func (s *Server) leave(x *session) {
	last := x.status()
	s.mu.Lock()
	delete(s.sessions, x)
	s.metrics.streams.Set(float64(len(s.sessions)))
	s.depart(last)
	s.mu.Unlock()
	s.moved(x)
}

// statusOf maps an error to what the stream ends with.
func statusOf(err error) error {
	code := codes.Internal
	switch fault.KindOf(err) {
	case fault.Permission:
		code = codes.PermissionDenied
	case fault.NotFound: // of a token; a proxy that is not there is waited for
		code = codes.Unauthenticated
	case fault.BadRequest, fault.Invalid:
		code = codes.InvalidArgument
	case fault.RateLimited, fault.TooLarge:
		code = codes.ResourceExhausted
	case fault.NotLeader, fault.NoLeader, fault.NoPath, fault.Unavailable:
		code = codes.Unavailable
	case fault.Canceled:
		code = codes.Canceled
	}
	return status.Error(code, err.Error())
}

// acquireFirst waits for a place among the first responses.
func (s *Server) acquireFirst(ctx context.Context) error {
	select {
	case s.first <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-s.closing:
		return errClosing
	}
}
