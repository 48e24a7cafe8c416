package proxy

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
	"github.com/lictor-mesh/lictor/proxy/tunnel"
)

// listener is a socket and its open connections. An update of its configuration keeps both.
type listener struct {
	p       *Proxy
	name    string
	address balance.Address
	socket  net.Listener
	spec    atomic.Pointer[listenerSpec]
	m       listenerMetrics
	// complaints are log lines about strangers, of which there may be many.
	complaints limiter

	mu      sync.Mutex
	links   map[*link]struct{}
	serving int // connections accepted and not yet over
	idle    chan struct{}
	closed  bool
	done    sync.WaitGroup // the accept loop
}

// listenerSpec is the current configuration of a listener. Server is nil on upstream listeners.
type listenerSpec struct {
	res    *resource.Listener
	auth   *rbac.Authorizer
	server *tunnel.Server
}

// bind opens the socket. Its error is of kind Unavailable, and the next reconciliation tries again.
func (p *Proxy) bind(res *resource.Listener) (*listener, error) {
	l := &listener{p: p, name: res.Name, address: res.Address, links: make(map[*link]struct{})}
	if res.Address.Network == "unix" {
		// A socket file that a crashed predecessor left is in the way, and of no use to anybody.
		if s, err := os.Stat(res.Address.Text); err == nil && s.Mode()&os.ModeSocket != 0 {
			_ = os.Remove(res.Address.Text)
		}
	}
	socket, err := net.Listen(res.Address.Network, res.Address.Text)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "cannot listen: %w", err).
			WithHint("free the address %s, or register the proxy with another port", res.Address.Text)
	}
	if res.SocketMode != 0 && res.Address.Network == "unix" {
		if err := os.Chmod(res.Address.Text, os.FileMode(res.SocketMode)&os.ModePerm); err != nil {
			_ = socket.Close()
			return nil, fault.New(fault.Unavailable, "cannot set the mode of the socket: %w", err)
		}
	}
	l.socket = socket
	l.m = p.metrics.listener(res.Name)
	_ = l.update(res) // a new listener has no connection to lose
	l.done.Go(l.accept)
	return l, nil
}

// loss is an open connection that a new configuration no longer allows.
type loss struct {
	link     *link
	decision rbac.Decision
}

// end cuts the connection off.
func (x loss) end() {
	x.link.cut("denied")
	l := x.link.listener
	l.p.denied(l, x.link.peer, x.decision, "an open connection is cut off: denied by intention")
}

// update takes a new configuration, and returns the open connections that it no longer allows. No other one is
// touched, and neither is the socket.
func (l *listener) update(res *resource.Listener) (lost []loss) {
	old := l.spec.Load()
	if old != nil && old.res == res {
		return nil
	}
	spec := &listenerSpec{res: res, auth: rbac.NewAuthorizer(res.Authorization)}
	if res.TLS != nil {
		spec.server = tunnel.NewServer(l.p.trust.credentials(res.TLS.Credentials), res.TLS.ALPN, l.admit)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Connections are registered under the same lock with the configuration of that moment: none slips between.
	l.spec.Store(spec)
	for k := range l.links {
		if d := spec.auth.Decide(string(k.peer)); spec.server != nil && !d.Allowed {
			lost = append(lost, loss{k, d})
		}
	}
	return lost
}

// admit decides about a peer that is told of a denial by a TLS alert.
func (l *listener) admit(peer identity.ID) error {
	d := l.spec.Load().auth.Decide(string(peer))
	if d.Allowed {
		return nil
	}
	l.p.denied(l, peer, d, "connection denied by intention")
	return errDenied
}

// errDenied marks a handshake that ended for an intention: it is logged and counted already.
var errDenied = fault.New(fault.Permission, "denied by intention")

func (l *listener) accept() {
	for {
		raw, err := l.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			// Out of file descriptors, mostly: what is open goes on, and closing some makes room.
			l.complaints.log(time.Now(), l.p.log.Error, "cannot accept a connection", "listener", l.name, "error", err)
			if !l.p.pause(10 * time.Millisecond) {
				return
			}
			continue
		}
		l.m.accepted.Inc()
		spec := l.spec.Load()
		limit := spec.res.MaxConnections
		if limit == 0 {
			limit = l.p.limits.Connections
		}
		if !l.enter(limit) {
			l.refuse(raw, "limit", "the listener has as many connections as it may")
			continue
		}
		if spec.server == nil {
			l.p.running.Go(func() { defer l.leave(); l.serveOutbound(raw) })
			continue
		}
		ip := remoteIP(raw)
		if !l.p.gate.enter(ip) {
			l.leave()
			l.refuse(raw, "limit", "too many handshakes are under way")
			continue
		}
		l.p.running.Go(func() { defer l.leave(); l.serveInbound(raw, spec.server, ip) })
	}
}

func remoteIP(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (l *listener) refuse(raw net.Conn, reason, text string) {
	reset(raw)
	l.p.metrics.failed.WithLabelValues(l.name, reason).Inc()
	l.complaints.log(time.Now(), l.p.log.Warn, "connection refused", "listener", l.name, "from", raw.RemoteAddr(), "reason", text)
}

// reset closes a connection so that the other end reads an error.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func (l *listener) enter(limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.serving >= limit {
		return false
	}
	l.serving++
	return true
}

func (l *listener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving--
	if l.serving == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// whenIdle returns a channel that is closed once no connection is left. It is for a listener whose socket is closed.
func (l *listener) whenIdle() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := make(chan struct{})
	if l.serving == 0 {
		close(done)
		return done
	}
	if l.idle == nil {
		l.idle = done
	}
	return l.idle
}

// lastCalls is how long a listener that is being closed still takes the connections that the kernel has completed: what
// stays in the queue of a closed socket is reset.
const lastCalls = 5 * time.Millisecond

// close stops accepting. Open connections go on.
func (l *listener) close() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return
	}
	if d, ok := l.socket.(interface{ SetDeadline(time.Time) error }); ok && d.SetDeadline(time.Now().Add(lastCalls)) == nil {
		l.done.Wait()
	}
	_ = l.socket.Close()
	l.done.Wait()
}

// each calls f with a snapshot of the open links.
func (l *listener) each(f func(*link)) {
	l.mu.Lock()
	links := make([]*link, 0, len(l.links))
	for k := range l.links {
		links = append(links, k)
	}
	l.mu.Unlock()
	for _, k := range links {
		f(k)
	}
}
