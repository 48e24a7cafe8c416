package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/dns"
	"github.com/lictor-mesh/lictor/netlimit"
	"github.com/lictor-mesh/lictor/xds"
)

// The limits of the agent's listeners that no option sets.
const (
	maxConns    = 16384
	firstByte   = 10 * time.Second
	headerWait  = 10 * time.Second
	idleWait    = 2 * time.Minute
	drainWait   = 2 * time.Second
	grpcPerHost = 1024
)

// tooMany is what a connection beyond http_max_conns_per_client reads.
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
	"Your IP is issuing too many concurrent connections, please rate limit your calls\n"

// sockets are all that the agent listens on, bound before anything is served.
type sockets struct {
	http, grpc, rpc []net.Listener
	dnsUDP          []net.PacketConn
	dnsTCP          []net.Listener
}

// listen binds everything, so that a port in use is known before anything else is done.
func (a *Agent) listen(c *config.Config) (s *sockets, err error) {
	s = &sockets{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, l := range []struct {
		name, option string
		addrs        []config.Listen
		into         *[]net.Listener
		limit        netlimit.Config
	}{
		{"HTTP", "ports.http", c.HTTPAddrs, &s.http, netlimit.Config{
			Limits: httpLimits(c),
			Option: "limits.http_max_conns_per_client", Refusal: []byte(tooMany)}},
		{"gRPC", "ports.grpc", c.GRPCAddrs, &s.grpc, netlimit.Config{
			Limits: netlimit.Limits{Total: maxConns, PerIP: grpcPerHost, FirstByte: firstByte}}},
		{"DNS", "ports.dns", c.DNSAddrs, &s.dnsTCP, netlimit.Config{}},
	} {
		for _, addr := range l.addrs {
			listener, err := bind(l.name, l.option, addr)
			if err != nil {
				return s, err
			}
			if l.limit.Limits != (netlimit.Limits{}) {
				l.limit.Name, l.limit.Logger = l.name, a.log.Named("listen")
				listener = netlimit.Wrap(listener, l.limit)
			}
			*l.into = append(*l.into, listener)
		}
	}
	for _, addr := range c.DNSAddrs {
		conns, err := dns.ListenUDP(context.Background(), addr.Address, runtime.GOMAXPROCS(0))
		if err != nil {
			return s, err
		}
		s.dnsUDP = append(s.dnsUDP, conns...)
	}
	if c.Server {
		l, err := bind("server RPC", "ports.server", config.Listen{Network: "tcp", Address: c.RPCBind.String()})
		if err != nil {
			return s, err
		}
		s.rpc = append(s.rpc, l) // the RPC server puts it under limits
	}
	return s, nil
}

// httpLimits are those of the HTTP API.
func httpLimits(c *config.Config) netlimit.Limits {
	return netlimit.Limits{Total: maxConns, PerIP: c.Limits.HTTPMaxConnsPerClient, FirstByte: firstByte}
}

func bind(name, option string, addr config.Listen) (net.Listener, error) {
	if addr.Network == "unix" {
		if err := clearSocket(addr.Address); err != nil {
			return nil, fmt.Errorf("%s socket %w; see addresses.%s", name, err, strings.TrimPrefix(option, "ports."))
		}
	}
	l, err := net.Listen(addr.Network, addr.Address)
	if err == nil {
		return l, nil
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s address %s is in use by another process; stop that one, or choose another port with %s (flag -%s)",
			name, addr.Address, option, strings.ReplaceAll(strings.TrimPrefix(option, "ports."), "_", "-")+"-port")
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s address %s may not be bound by this user; choose a port above 1023 with %s", name, addr.Address, option)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s address %s is not an address of this host; see bind_addr and client_addr", name, addr.Address)
	default:
		return nil, fmt.Errorf("%s address %s: %w", name, addr.Address, err)
	}
}

// clearSocket removes the socket that a former agent left, which would be in the way. One that answers, or a file that
// is no socket, is not ours to remove.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil // most likely it is not there; binding tells about all else
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s is in the way: it is a file; move it, or choose another path", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return fmt.Errorf("%s is in use by another process; stop that one, or choose another path", path)
	}
	_ = os.Remove(path)
	return nil
}

func (s *sockets) close() {
	for _, list := range [][]net.Listener{s.http, s.grpc, s.rpc, s.dnsTCP} {
		for _, l := range list {
			_ = l.Close()
		}
	}
	for _, c := range s.dnsUDP {
		_ = c.Close()
	}
}

// rpcPort is the port that servers are reached on.
func (s *sockets) rpcPort(c *config.Config) int {
	if len(s.rpc) > 0 {
		if a, ok := s.rpc[0].Addr().(*net.TCPAddr); ok {
			return a.Port
		}
	}
	return c.Ports.Server
}

// serveHTTP serves the API until ctx ends. Long polls are ended then.
func (a *Agent) serveHTTP(ctx context.Context) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler: a.http, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: a.config.HTTP.MaxHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    a.log.Named("http").StandardLogger(nil),
	}
	failed := make(chan error, len(a.sockets.http))
	for _, l := range a.sockets.http {
		go func() { failed <- srv.Serve(l) }()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	cancel()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), drainWait)
	defer stop()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close()
	}
	return err
}

// serveGRPC serves xDS until ctx ends.
func (a *Agent) serveGRPC(ctx context.Context) error {
	if len(a.sockets.grpc) == 0 {
		<-ctx.Done()
		return nil
	}
	srv := grpc.NewServer(xds.ServerOptions()...)
	a.xds.Register(srv)
	failed := make(chan error, len(a.sockets.grpc))
	for _, l := range a.sockets.grpc {
		go func() { failed <- srv.Serve(l) }()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	a.xds.Close()
	srv.Stop()
	return err
}

// HTTPAddr is where the HTTP API answers, nil when it is off.
func (a *Agent) HTTPAddr() net.Addr { return firstAddr(a.sockets.http) }

// GRPCAddr is where xDS answers, nil when it is off.
func (a *Agent) GRPCAddr() net.Addr { return firstAddr(a.sockets.grpc) }

// RPCAddr is where a server answers other agents, nil on a client.
func (a *Agent) RPCAddr() net.Addr { return firstAddr(a.sockets.rpc) }

func firstAddr(list []net.Listener) net.Addr {
	if len(list) == 0 {
		return nil
	}
	return list[0].Addr()
}

// SerfPort is where the LAN pool listens.
func (a *Agent) SerfPort() int { return a.pool.Port() }
