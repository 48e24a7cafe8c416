package proxy

import (
	"time"

	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/carry"
)

// The sweep looks at all open connections from time to time: no timer and no clock is on the path of the bytes.
const (
	sweepEvery  = time.Second
	sweepHurry  = 20 * time.Millisecond // while a connection has to go
	betweenTurn = time.Millisecond      // how long a connection in steady use must be still to be ended
)

func (p *Proxy) sweepLoop() {
	timer := time.NewTimer(sweepHurry)
	defer timer.Stop()
	for {
		select {
		case <-p.stopped():
			return
		case <-timer.C:
		case <-p.sweepNow:
		}
		next := min(sweepEvery, max(p.timing.Idle/2, sweepHurry))
		if p.sweep(time.Now()) {
			next = sweepHurry
		}
		timer.Reset(next)
		p.retry()
	}
}

func (p *Proxy) wakeSweep() {
	select {
	case p.sweepNow <- struct{}{}:
	default:
	}
}

// pausing is a link in steady use that was between two turns when the sweep came by.
type pausing struct {
	k    *link
	c    *carry.Link
	seen carry.Turn
}

// sweep ends what is idle for too long, and what has to go and rests. It tells whether something has to go.
func (p *Proxy) sweep(now time.Time) (hurry bool) {
	var between []pausing
	for _, l := range p.everyListener() {
		idle := l.spec.Load().res.IdleTimeout
		if idle == 0 {
			idle = p.timing.Idle
		}
		l.each(func(k *link) {
			c, _, _ := k.traffic()
			if c == nil {
				return
			}
			turn := c.Turn()
			quiet := k.rest.observe(turn, now)
			if idle > 0 && quiet >= idle {
				k.cut("idle")
				return
			}
			must, rule := p.mustLeave(l, k)
			since := k.rest.leave(must, turn, now)
			if !must {
				return
			}
			hurry = true
			conversing := turn.Flips() != k.rest.flips
			if !rule.due(now.Sub(since), quiet, turn.Answered(), conversing) {
				return
			}
			if quiet >= sweepHurry {
				k.finish(c, turn)
				return
			}
			between = append(between, pausing{k, c, turn})
		})
	}
	if len(between) > 0 && p.pause(betweenTurn) {
		for _, x := range between {
			x.k.finish(x.c, x.seen)
		}
	}
	return hurry
}

// mustLeave tells whether a link has to go, and by which rule: because the proxy drains, or because its endpoint is no
// longer among the healthy ones while another is. Without another there is nowhere better to go.
func (p *Proxy) mustLeave(l *listener, k *link) (bool, drainRule) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return true, inboundRule(p.timing)
	}
	_, c, e := k.traffic()
	if l.spec.Load().res.Inbound() {
		return false, drainRule{}
	}
	set := c.set.Load()
	health, known := set.Health(e)
	if set.Len() == 0 || known && health == balance.Healthy {
		return false, drainRule{}
	}
	return true, outboundRule(p.timing)
}
