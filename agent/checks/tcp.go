package checks

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

type tcpProbe struct {
	addr string
	tls  *tls.Config
	env  *Env
}

// newTCP makes a check that connects, and shakes hands where TLS is asked for.
func newTCP(s Spec, env *Env) (Check, error) {
	d := &s.Definition
	host, err := hostOf(d.TCP, "TCP")
	if err != nil {
		return nil, err
	}
	p := &tcpProbe{addr: d.TCP, env: env}
	if d.TCPUseTLS {
		p.tls = env.tlsConfig(d, host)
	}
	return every(s, env, p, DefaultTimeout), nil
}

// Probe implements Probe.
func (p *tcpProbe) Probe(ctx context.Context) Result {
	conn, err := p.env.dial(ctx, "tcp", p.addr)
	if err != nil {
		return critical(err)
	}
	defer conn.Close()
	if p.tls != nil {
		if err := tls.Client(conn, p.tls).HandshakeContext(ctx); err != nil {
			return critical(err)
		}
	}
	return Result{Status: model.StatusPassing, Output: fmt.Sprintf("TCP connect %s: Success", p.addr)}
}

// hostOf takes the host out of a check's host:port, which is refused when it is not one.
func hostOf(addr, field string) (string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fault.New(fault.BadRequest, "Invalid check: %s %q is not host:port: %v", field, addr, err)
	}
	return host, nil
}
