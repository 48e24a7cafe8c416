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

// limiter lets one log line of each kind through in a while, so that one kind hides no other. A kind is a line's
// constant message: there are few. The zero value is ready.
type limiter struct {
	mu    sync.Mutex
	kinds map[string]pace
}

// pace is when a kind of line was last let through, and how many were left out since.
type pace struct {
	last       time.Time
	suppressed int
}

// log writes a line, unless one with the same message was written less than complaintEvery before now. What was left
// out since is counted in the line.
func (l *limiter) log(now time.Time, write func(msg string, args ...any), msg string, args ...any) {
	l.logEvery(complaintEvery, now, write, msg, args...)
}

// logEvery is log with a pace of its own.
func (l *limiter) logEvery(every time.Duration, now time.Time, write func(msg string, args ...any), msg string, args ...any) {
	suppressed, ok := l.allow(every, now, msg)
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	write(msg, args...)
}

// allow tells whether to log at the time now, and how many lines of the kind were left out since the last.
func (l *limiter) allow(every time.Duration, now time.Time, kind string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, known := l.kinds[kind]
	if known && now.Sub(p.last) < every {
		p.suppressed++
		l.kinds[kind] = p
		return 0, false
	}
	if l.kinds == nil {
		l.kinds = make(map[string]pace)
	}
	l.kinds[kind] = pace{last: now}
	return p.suppressed, true
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
