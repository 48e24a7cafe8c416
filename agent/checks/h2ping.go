package checks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/net/http2"

	"github.com/lictor-mesh/lictor/model"
)

// maxFrames is how many frames a server may send before it acknowledges.
const maxFrames = 64

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
		return critical(fmt.Errorf("%s: %w", "Failed to dial to "+p.addr, err))
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := ping(conn); err != nil {
		return critical(fmt.Errorf("HTTP2 ping failed with error %w", timedOut(ctx, err)))
	}
	return Result{Status: model.StatusPassing, Output: "HTTP2 ping was successful"}
}

// ping opens an HTTP/2 connection (RFC 9113 3.4) and waits for the acknowledgement of its PING.
func ping(conn net.Conn) error {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return err
	}
	f := http2.NewFramer(conn, conn)
	f.SetMaxReadFrameSize(16 << 10)
	if err := f.WriteSettings(); err != nil {
		return err
	}
	payload := [8]byte{'c', 'h', 'e', 'c', 'k'}
	if err := f.WritePing(false, payload); err != nil {
		return err
	}
	// A server says a little of its own first; one that says no end of it is not healthy.
	for range maxFrames {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.PingFrame:
			if frame.IsAck() && frame.Data == payload {
				return nil
			}
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			err = fmt.Errorf("the server closes the connection: %s", frame.ErrCode)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the server does not acknowledge it")
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
