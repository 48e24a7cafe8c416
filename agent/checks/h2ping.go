package checks

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"golang.org/x/net/http2"

	"github.com/lictor-mesh/lictor/model"
)

type h2pingProbe struct {
	addr string
	tls  *tls.Config
	env  *Env
}

// newH2Ping makes a check that sends an HTTP/2 PING (RFC 9113 6.7) and wants it acknowledged.
func newH2Ping(s Spec, env *Env) (Check, error) {
	d := &s.Definition
	host, err := hostOf(d.H2PING, "H2PING")
	if err != nil {
		return nil, err
	}
	p := &h2pingProbe{addr: d.H2PING, env: env}
	if d.H2PingUseTLS {
		p.tls = env.tlsConfig(d, host)
		p.tls.NextProtos = []string{http2.NextProtoTLS}
	}
	return every(s, env, p, DefaultTimeout), nil
}

// Probe implements Probe.
func (p *h2pingProbe) Probe(ctx context.Context) Result {
	conn, err := p.connect(ctx)
	if err != nil {
		return critical(fmt.Errorf("Failed to dial to %s: %w", p.addr, err)) //nolint:staticcheck // recorded text
	}
	defer conn.Close()
	t := &http2.Transport{AllowHTTP: true}
	h2, err := t.NewClientConn(conn)
	if err != nil {
		return critical(fmt.Errorf("Failed to get client connection with error %w", err)) //nolint:staticcheck // recorded text
	}
	defer h2.Close()
	if err := h2.Ping(ctx); err != nil {
		return critical(fmt.Errorf("HTTP2 ping failed with error %w", timedOut(ctx, err)))
	}
	return Result{Status: model.StatusPassing, Output: "HTTP2 ping was successful"}
}

func (p *h2pingProbe) connect(ctx context.Context) (net.Conn, error) {
	conn, err := p.env.dial(ctx, "tcp", p.addr)
	if err != nil || p.tls == nil {
		return conn, err
	}
	c := tls.Client(conn, p.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != http2.NextProtoTLS {
		c.Close()
		return nil, fmt.Errorf("the server chose protocol %q, not %q", got, http2.NextProtoTLS)
	}
	return c, nil
}
