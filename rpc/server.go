package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
)

// Handler answers requests on a server. A method's error becomes the reply's fault; the reply may then be
// nil. It must not keep the request after it returned.
type Handler interface {
	Apply(ctx context.Context, req *ApplyRequest) (*ApplyReply, error)
	Read(ctx context.Context, req *ReadRequest) (*ReadReply, error)
	Sign(ctx context.Context, req *SignRequest) (*SignReply, error)
	// Subscribe begins a subscription: push takes each new result, from any goroutine and without waiting,
	// until cancel was called. A result replaces the one that was not sent yet. push sets the Update's ID.
	Subscribe(ctx context.Context, o *Order, push func(Update)) (cancel func(), err error)
}

// Caller is who calls.
type Caller struct {
	Addr net.Addr
	// TLS is the connection's state, nil when it is plain.
	TLS *tls.ConnectionState
	// Service and Method are what is called, as "Agent" and "Apply" or "Raft" and "Vote".
	Service, Method string
}

// CallerOf returns who called, within a handler.
func CallerOf(ctx context.Context) Caller {
	var c Caller
	if p, ok := peer.FromContext(ctx); ok {
		c.Addr = p.Addr
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			c.TLS = &t.State
		}
	}
	return c
}

// ServerConfig describes a Server.
type ServerConfig struct {
	Handler Handler
	// Calls are the methods that Client.Call reaches, by name; see Method.
	Calls map[string]CallFunc
	// Leader returns where the leader is reached, "" when this server does not know; it becomes the hint of
	// fault.NotLeader. May be nil.
	Leader func() string
	// Register adds further services, as Raft, to the port.
	Register []func(grpc.ServiceRegistrar)
	// Authorize decides who may call what, before the request is read; nil allows all.
	Authorize func(Caller) error
	// TLS is the server's side, nil for plain connections.
	TLS *tls.Config
	// Limits caps connections (limits.rpc_max_conns_per_client); zero values take the defaults.
	Limits netlimit.Limits
	// HandshakeTimeout bounds the time until a connection is ready (limits.rpc_handshake_timeout); 0 is 5 s.
	HandshakeTimeout time.Duration
	// MaxRequest bounds a request in bytes; 0 is 4 MiB.
	MaxRequest int
	// MaxSubscriptions bounds the subscriptions of one stream; 0 is 8192.
	MaxSubscriptions int
	Logger           hclog.Logger
}

// The defaults of the limits.
const (
	defaultMaxConns         = 8192
	defaultMaxConnsPerIP    = 100
	defaultHandshake        = 5 * time.Second
	defaultMaxRequest       = 4 << 20
	defaultMaxSubscriptions = 8192
	// maxStreams bounds what one connection runs at once, blocking reads included.
	maxStreams = 4096
	// maxHeader bounds the request's header fields.
	maxHeader = 16 << 10
)

// Server serves the RPC port.
type Server struct {
	cfg  ServerConfig
	grpc *grpc.Server
	log  hclog.Logger
	// stopping ends the subscriptions, which have no end of their own.
	stopping context.Context
	stop     context.CancelFunc

	mu       sync.Mutex
	listener *netlimit.Listener
}

// NewServer makes a server; Serve runs it.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	orDefault := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orDefault(&cfg.MaxRequest, defaultMaxRequest)
	orDefault(&cfg.MaxSubscriptions, defaultMaxSubscriptions)
	orDefault(&cfg.Limits.Total, defaultMaxConns)
	orDefault(&cfg.Limits.PerIP, defaultMaxConnsPerIP)
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = defaultHandshake
	}
	if cfg.Limits.FirstByte == 0 {
		cfg.Limits.FirstByte = cfg.HandshakeTimeout
	}
	s := &Server{cfg: cfg, log: cfg.Logger.Named("rpc")}
	s.stopping, s.stop = context.WithCancel(context.Background())
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec()),
		grpc.MaxRecvMsgSize(cfg.MaxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.ConnectionTimeout(cfg.HandshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.InTapHandle(s.tap),
		grpc.UnaryInterceptor(s.recoverUnary),
		grpc.StreamInterceptor(s.recoverStream),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	s.grpc.RegisterService(serviceDesc(), s)
	for _, register := range cfg.Register {
		register(s.grpc)
	}
	return s
}

// Serve accepts connections from l until Stop; it returns nil then.
func (s *Server) Serve(l net.Listener) error {
	limited := netlimit.Wrap(l, netlimit.Config{Name: "rpc", Limits: s.cfg.Limits, Option: "limits.rpc_max_conns_per_client", Logger: s.log})
	s.mu.Lock()
	s.listener = limited
	s.mu.Unlock()
	err := s.grpc.Serve(limited)
	if err == nil || errors.Is(err, grpc.ErrServerStopped) || s.stopping.Err() != nil {
		return nil
	}
	return fault.New(fault.Unavailable, "serving RPC on %s: %v", l.Addr(), err)
}

// Connections are the figures of the port's connections.
func (s *Server) Connections() netlimit.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return netlimit.Stats{}
	}
	return s.listener.Stats()
}

// SetLimits changes the caps on connections.
func (s *Server) SetLimits(limits netlimit.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.SetLimits(limits)
	}
}

// Stop takes no more requests, ends the subscriptions, and waits for the requests under way, grace at the
// most; then it cuts them off. Services that were registered must end their own streams.
func (s *Server) Stop(grace time.Duration) {
	s.stop()
	done := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(done) }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.grpc.Stop()
		<-done
	}
}

// tap runs when a request's header has arrived and before its body is read.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if s.cfg.Authorize == nil {
		return ctx, nil
	}
	c := CallerOf(ctx)
	service, method, _ := strings.Cut(strings.TrimPrefix(info.FullMethodName, "/"), "/")
	c.Service, c.Method = strings.TrimPrefix(service, servicePrefix), method
	if err := s.cfg.Authorize(c); err != nil {
		s.log.Warn("refused", "from", c.Addr, "service", c.Service, "method", c.Method, "error", err)
		return ctx, status.Error(codes.PermissionDenied, err.Error())
	}
	return ctx, nil
}

// caught turns a panic of a handler into an error, so that one request cannot end the process.
func (s *Server) caught(method string, err *error) {
	if p := recover(); p != nil {
		s.log.Error("a request failed by a fault of ours", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal error")
	}
}

func (s *Server) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (reply any, err error) {
	defer s.caught(info.FullMethod, &err)
	return h(ctx, req)
}

func (s *Server) recoverStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
	defer s.caught(info.FullMethod, &err)
	return h(srv, stream)
}

// faultOf adds the leader to a fault that asks for it.
func (s *Server) faultOf(err error) Fault {
	f := FaultOf(err)
	if err != nil && fault.Is(err, fault.NotLeader) && s.cfg.Leader != nil {
		f.Leader = s.cfg.Leader()
	}
	return f
}
