package proxy

import (
	"net/netip"
	"sync"
	"time"
)

// complaintEvery is the pace at which one kind of trouble is logged.
const complaintEvery = time.Second

// bindComplaintEvery is the pace for a port that stays taken, which is tried every second.
const bindComplaintEvery = 30 * time.Second

// limiter lets one log line through each complaintEvery. The zero value is ready.
type limiter struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// allow tells whether to log at the time now, and how many lines were left out since the last.
func (l *limiter) allow(now time.Time) (suppressed int, ok bool) {
	return l.allowEvery(complaintEvery, now)
}

// allowEvery is allow with a rate of its own.
func (l *limiter) allowEvery(every time.Duration, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < every {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed, l.last = l.suppressed, 0, now
	return suppressed, true
}

// gate bounds the handshakes under way, in total and for each address.
type gate struct {
	total, perIP int
	mu           sync.Mutex
	count        int
	byIP         map[netip.Addr]int
}

func newGate(total, perIP int) *gate {
	return &gate{total: total, perIP: perIP, byIP: make(map[netip.Addr]int)}
}

// enter asks for a place; leave gives it back.
func (g *gate) enter(ip netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count >= g.total || g.byIP[ip] >= g.perIP {
		return false
	}
	g.count++
	g.byIP[ip]++
	return true
}

func (g *gate) leave(ip netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count--
	if g.byIP[ip]--; g.byIP[ip] == 0 {
		delete(g.byIP, ip)
	}
}
