// Package netlimit is the one accept wrapper of every TCP listener: it caps connections in total and per
// client address, closes those that stay silent, and survives a system that is out of file descriptors.
//
// A connection beyond a cap is closed at once, counted, and named in at most one log line per second with
// the option that sets the cap. What happens on an accepted connection (TLS, header and idle deadlines, frame
// sizes) is its server's task.
package netlimit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Limits are the caps of one listener; 0 is no cap.
type Limits struct {
	// Total is how many connections may be open.
	Total int
	// PerIP is how many one client address may have open. IPv6 clients are counted by their /64, which is
	// what one host is usually given.
	PerIP int
	// FirstByte closes a connection on which nothing was read that long after it was accepted.
	FirstByte time.Duration
}

// Config describes a listener.
type Config struct {
	// Name is what the log calls the listener, as "http" or "rpc".
	Name   string
	Limits Limits
	// Option is the configuration key that an operator changes when PerIP is too small, for the log.
	Option string
	// Refusal is written to a connection beyond a cap before it is closed, as an HTTP 429; may be nil.
	Refusal []byte
	// Logger gets the refusals; nil logs nothing.
	Logger hclog.Logger
}

// Stats are the figures of a listener since its start.
type Stats struct {
	// Open connections now.
	Open int
	// Accepted connections so far, without the refused ones.
	Accepted uint64
	// RefusedTotal and RefusedPerIP were beyond the caps of those names, Silent sent nothing in time.
	RefusedTotal, RefusedPerIP, Silent uint64
}

// Listener is a net.Listener under limits.
type Listener struct {
	net.Listener
	cfg Config

	mu     sync.Mutex
	limits Limits
	perIP  map[netip.Addr]int
	stats  Stats
	logged time.Time

	done   context.Context
	cancel context.CancelFunc
}

// Wrap puts a listener under limits. Closing the result closes l; connections stay open.
func Wrap(l net.Listener, cfg Config) *Listener {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	done, cancel := context.WithCancel(context.Background())
	return &Listener{Listener: l, cfg: cfg, limits: cfg.Limits, perIP: map[netip.Addr]int{}, done: done, cancel: cancel}
}

// SetLimits changes the caps from the next connection on; open ones stay.
func (l *Listener) SetLimits(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
}

// Stats returns the figures now.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.cancel()
	return l.Listener.Close()
}

// Bounds of the pause after an accept that failed.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// Accept implements net.Listener. It returns an error only when the listener was closed: any other (a
// client that went away, too many open files) is waited out.
func (l *Listener) Accept() (net.Conn, error) {
	pause := minPause
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if l.done.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil, net.ErrClosed
			}
			l.cfg.Logger.Warn("accepting a connection failed, trying again", "listener", l.cfg.Name, "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-l.done.Done():
				return nil, net.ErrClosed
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = minPause
		if admitted := l.admit(c); admitted != nil {
			return admitted, nil
		}
	}
}

// admit counts c in, or refuses it and returns nil.
func (l *Listener) admit(c net.Conn) net.Conn {
	key, hasIP := clientKey(c.RemoteAddr())
	l.mu.Lock()
	limits := l.limits
	which, limit := "", 0
	switch {
	case limits.Total > 0 && l.stats.Open >= limits.Total:
		which, limit = "total", limits.Total
		l.stats.RefusedTotal++
	case hasIP && limits.PerIP > 0 && l.perIP[key] >= limits.PerIP:
		which, limit = "per client", limits.PerIP
		l.stats.RefusedPerIP++
	default:
		l.stats.Open++
		l.stats.Accepted++
		if hasIP {
			l.perIP[key]++
		}
	}
	now := time.Now()
	tell := which != "" && now.Sub(l.logged) >= time.Second
	if tell {
		l.logged = now
	}
	l.mu.Unlock()
	if which == "" {
		return l.wrap(c, key, hasIP, limits.FirstByte)
	}
	if tell {
		about := []any{"listener", l.cfg.Name, "client", c.RemoteAddr(), "cap", which, "limit", limit}
		if l.cfg.Option != "" {
			about = append(about, "option", l.cfg.Option)
		}
		l.cfg.Logger.Warn("too many connections, refusing new ones", about...)
	}
	l.refuse(c)
	return nil
}

// refuse never waits: the answer fits an empty socket buffer or is dropped.
func (l *Listener) refuse(c net.Conn) {
	if len(l.cfg.Refusal) > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, _ = c.Write(l.cfg.Refusal)
	} else if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // a reset keeps no state here for a client that floods
	}
	_ = c.Close()
}

func (l *Listener) wrap(c net.Conn, key netip.Addr, hasIP bool, firstByte time.Duration) net.Conn {
	w := &conn{Conn: c, owner: l, key: key, hasIP: hasIP}
	if firstByte > 0 {
		w.waiting.Store(true)
		w.timer = time.AfterFunc(firstByte, w.silent)
	}
	return w
}

func (l *Listener) release(key netip.Addr, hasIP bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Open--
	if !hasIP {
		return
	}
	if n := l.perIP[key]; n > 1 {
		l.perIP[key] = n - 1
	} else {
		delete(l.perIP, key)
	}
}

// clientKey is the address under which a client is counted; a Unix socket's clients have none.
func clientKey(a net.Addr) (netip.Addr, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	return ip, ip.IsValid()
}
