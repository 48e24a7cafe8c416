package proxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/carry"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/tunnel"
)

// link is one connection of a listener, from when its caller is known until it is over.
type link struct {
	listener *listener
	raw      net.Conn
	peer     identity.ID // inbound only
	since    time.Time
	rest     resting // owned by the sweep

	mu       sync.Mutex
	carried  *carry.Link
	endpoint *balance.Endpoint // outbound only
	cluster  *cluster
	over     bool
}

// register makes the link known, if its caller may connect under the configuration of this moment.
func (l *listener) register(k *link) rbac.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := rbac.Decision{Allowed: true}
	if spec := l.spec.Load(); spec.server != nil {
		d = spec.auth.Decide(string(k.peer))
	}
	if d.Allowed {
		l.links[k] = struct{}{}
		l.m.open.Inc()
	}
	return d
}

func (l *listener) forget(k *link) {
	l.mu.Lock()
	delete(l.links, k)
	l.mu.Unlock()
	l.m.open.Dec()
}

// carry moves bytes until the link is over.
func (k *link) carry(client *carry.End, to *reached) {
	c := carry.NewLink(client, to.end, k.listener.p.buffers)
	k.mu.Lock()
	k.carried, k.endpoint, k.cluster = c, to.endpoint, to.cluster
	over := k.over
	k.mu.Unlock()
	if over { // cut while its other end was being reached
		c.Reset()
	}
	err := c.Run()
	up, down := c.Bytes()
	k.listener.m.bytesUp.Add(float64(up))
	k.listener.m.bytesDn.Add(float64(down))
	if err != nil && k.listener.p.log.IsDebug() {
		k.listener.p.log.Debug("connection ended early", "listener", k.listener.name, "peer", k.peer, "error", err)
	}
}

// cut ends the link at once: both ends read an error.
func (k *link) cut(reason string) {
	k.mu.Lock()
	was := k.over
	k.over = true
	c := k.carried
	k.mu.Unlock()
	if was {
		return
	}
	k.listener.p.metrics.cut.WithLabelValues(k.listener.name, reason).Inc()
	if c != nil {
		c.Reset()
		return
	}
	reset(k.raw)
}

// finish ends the link in order, if nothing moved since seen.
func (k *link) finish(c *carry.Link, seen carry.Turn) {
	if c.Finish(seen) {
		k.listener.p.metrics.cut.WithLabelValues(k.listener.name, "drain").Inc()
	}
}

// traffic returns what is being carried, nil before that.
func (k *link) traffic() (*carry.Link, *cluster, *balance.Endpoint) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.carried, k.cluster, k.endpoint
}

// serveInbound identifies a caller, authorizes it, and carries it to the local application.
func (l *listener) serveInbound(raw net.Conn, server *tunnel.Server, ip netip.Addr) {
	p := l.p
	conn, err := server.Handshake(raw, p.timing.Handshake)
	p.gate.leave(ip)
	if err != nil {
		l.strange(raw, err)
		return
	}
	k := &link{listener: l, raw: raw, peer: conn.Peer, since: time.Now()}
	if d := l.register(k); !d.Allowed {
		p.denied(l, conn.Peer, d, "connection denied by intention")
		l.answer(conn, tunnel.Verdict{Code: tunnel.Denied, Reason: policyName(d)}, "denied")
		return
	}
	defer l.forget(k)
	to, err := p.reachFrom(l)
	if err != nil {
		l.complaints.log(time.Now(), p.log.Warn, "the local application was not reached", "listener", l.name, "peer", conn.Peer, "error", err)
		l.answer(conn, tunnel.Verdict{Code: tunnel.Unreachable, Reason: err.Error()}, "upstream")
		return
	}
	defer to.release()
	if conn.Native {
		if err := conn.Send(tunnel.Verdict{Code: tunnel.Accepted}, p.timing.Handshake); err != nil {
			reset(raw)
			to.end.Reset()
			return
		}
	}
	k.carry(conn.End(), to)
}

// answer refuses a caller that was identified: a native one reads why, another one is cut off.
func (l *listener) answer(conn *tunnel.Conn, v tunnel.Verdict, reason string) {
	l.p.metrics.failed.WithLabelValues(l.name, reason).Inc()
	if !conn.Native || conn.Send(v, time.Second) != nil {
		reset(conn.Socket.Conn)
		return
	}
	_ = conn.TLS.Close()
}

// strange counts and logs a handshake that came to nothing: one line in a while, however many strangers knock.
func (l *listener) strange(raw net.Conn, err error) {
	reset(raw)
	reason := "handshake"
	switch {
	case isDenied(err):
		reason = "denied"
	case errors.Is(err, io.EOF):
		// Who connects and says nothing is a health check, far more often than not.
		reason = "silent"
	}
	l.p.metrics.failed.WithLabelValues(l.name, reason).Inc()
	if reason != "handshake" {
		return
	}
	l.complaints.log(time.Now(), l.p.log.Warn, "a caller did not identify itself", "listener", l.name, "from", raw.RemoteAddr(), "error", err)
}

// serveOutbound carries the local application's connection to an endpoint of an upstream.
func (l *listener) serveOutbound(raw net.Conn) {
	p := l.p
	k := &link{listener: l, raw: raw, since: time.Now()}
	l.register(k)
	defer l.forget(k)
	to, err := p.reachFrom(l)
	if err != nil {
		p.metrics.failed.WithLabelValues(l.name, "upstream").Inc()
		l.complaints.log(time.Now(), p.log.Warn, "the upstream was not reached", "listener", l.name, "error", err)
		reset(raw)
		return
	}
	defer to.release()
	k.carry(carry.Plain(raw), to)
}
