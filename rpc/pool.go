package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/lictor-mesh/lictor/model/fault"
)

// Class separates connections to one server, so that bulk on one does not hold up another.
type Class string

// The classes of connections.
const (
	// ClassAgent is for requests and subscriptions.
	ClassAgent Class = "agent"
	// ClassRaft is for Raft's small messages and its log.
	ClassRaft Class = "raft"
	// ClassSnapshot is for Raft's snapshots.
	ClassSnapshot Class = "snapshot"
)

// PoolConfig describes a Pool.
type PoolConfig struct {
	// TLS returns the client's side for a server's address, with the check of who the server is
	// (VerifyConnection); nil makes plain connections.
	TLS func(addr string) (*tls.Config, error)
	// Dial makes the TCP connection; nil uses the net package.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// MaxReply bounds a reply and an update in bytes; 0 is 64 MiB.
	MaxReply int
}

const (
	defaultMaxReply = 64 << 20
	// connectTimeout bounds one attempt, so that a server that swallows packets is noticed.
	connectTimeout = time.Second
	// keepaliveTime and keepaliveTimeout find a peer that is gone without a word. On Linux the timeout is the
	// socket's TCP_USER_TIMEOUT too, so that a cut line is dropped and dialed anew soon after it heals.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
	maxBackoff       = time.Second
)

// Pool holds one connection for each server and class, made when it is first used. It is safe for
// concurrent use.
type Pool struct {
	cfg PoolConfig

	mu     sync.Mutex
	conns  map[poolKey]*grpc.ClientConn
	closed bool
}

type poolKey struct {
	addr  string
	class Class
}

// NewPool makes an empty pool.
func NewPool(cfg PoolConfig) *Pool {
	if cfg.MaxReply == 0 {
		cfg.MaxReply = defaultMaxReply
	}
	if cfg.Dial == nil {
		var d net.Dialer
		cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	}
	return &Pool{cfg: cfg, conns: map[poolKey]*grpc.ClientConn{}}
}

// Conn returns the connection to a server, "host:port". It does not dial: a call on it does.
func (p *Pool) Conn(addr string, class Class) (*grpc.ClientConn, error) {
	key := poolKey{addr, class}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fault.New(fault.Canceled, "this agent is stopping")
	}
	if c := p.conns[key]; c != nil {
		return c, nil
	}
	secure := insecure.NewCredentials()
	if p.cfg.TLS != nil {
		c, err := p.cfg.TLS(addr)
		if err != nil {
			return nil, err
		}
		secure = credentials.NewTLS(c)
	}
	c, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(p.cfg.Dial),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // repeating is the Client's decision
		grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec()), grpc.MaxCallRecvMsgSize(p.cfg.MaxReply), grpc.MaxCallSendMsgSize(math.MaxInt32)),
	)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "server %s: %v", addr, err)
	}
	p.conns[key] = c
	return c, nil
}

// Forget closes the connections to a server that left; calls under way on them fail.
func (p *Pool) Forget(addr string) {
	p.mu.Lock()
	var gone []*grpc.ClientConn
	for key, c := range p.conns {
		if key.addr == addr {
			gone = append(gone, c)
			delete(p.conns, key)
		}
	}
	p.mu.Unlock()
	for _, c := range gone {
		_ = c.Close()
	}
}

// Close ends all connections and what runs on them.
func (p *Pool) Close() error {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.closed = map[poolKey]*grpc.ClientConn{}, true
	p.mu.Unlock()
	var all error
	for _, c := range conns {
		all = errors.Join(all, c.Close())
	}
	return all
}
