package proxy

import (
	"context"
	"time"

	"github.com/lictor-mesh/lictor/proxy/carry"
)

// drainRule says when a drain may end a connection of which it sees bytes, not requests. It ends one that rests: the
// server spoke last, and nothing moved for a while. The while is Quiet at first; between From and To, counted from the
// drain's beginning, it shrinks to nothing for connections whose directions take turns, so that one which is in use
// without a rest is ended between an answer and the next request. A stream in one direction is never taken for that:
// only its full rest, or the deadline, ends it.
type drainRule struct {
	Quiet    time.Duration
	From, To time.Duration
}

// outboundRule is for connections to an endpoint that leaves, inboundRule for the proxy's own drain. The side of the
// client goes first: it is next to the application that must not be in the middle of sending, while an end that the
// other side sends takes a round trip to get there.
func outboundRule(t Timing) drainRule { return drainRule{t.Quiet, t.Drain / 16, t.Drain / 8} }

func inboundRule(t Timing) drainRule { return drainRule{2 * t.Quiet, t.Drain / 4, t.Drain / 2} }

// due tells whether a connection may be ended that has been told to leave since age, has not moved for quiet, and
// whose traffic is as said. Answered: the server spoke last. Conversing: requests went on after the drain began.
func (r drainRule) due(age, quiet time.Duration, answered, conversing bool) bool {
	if !answered {
		return false
	}
	need := r.Quiet
	if conversing && age > r.From {
		left := float64(r.To-age) / float64(max(r.To-r.From, 1))
		need = time.Duration(max(left, 0) * float64(r.Quiet))
	}
	return quiet >= need
}

// resting is what the sweep remembers of a link.
type resting struct {
	turn    carry.Turn
	at      time.Time // when turn was first seen
	leaving time.Time // when the link was first seen to have to go, zero when it may stay
	flips   uint32    // of the turn at leaving
}

// observe takes in the current turn, and returns for how long it has not changed.
func (r *resting) observe(turn carry.Turn, now time.Time) time.Duration {
	if turn != r.turn || r.at.IsZero() {
		r.turn, r.at = turn, now
	}
	return now.Sub(r.at)
}

// leave notes whether the link has to go, and returns since when.
func (r *resting) leave(must bool, turn carry.Turn, now time.Time) (since time.Time) {
	switch {
	case !must:
		r.leaving = time.Time{}
	case r.leaving.IsZero():
		r.leaving, r.flips = now, turn.Flips()
	}
	return r.leaving
}

// Drain takes the proxy out of service without cutting off a request. It leaves the healthy set by its lease, goes on
// accepting until its subscribers know or Timing.Withdraw is over, closes the public listeners, lets the callers'
// connections end, does the same with the upstream listeners, and makes Run return nil. What is still open after
// Timing.Drain, or when ctx ends, is cut off. The error is ctx's.
func (p *Proxy) Drain(ctx context.Context) error {
	p.startDrain()
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		p.stop()
		return ctx.Err()
	}
}

func (p *Proxy) startDrain() {
	p.drainOnce.Do(func() { p.running.Go(p.drain) })
}

func (p *Proxy) drain() {
	defer close(p.drained)
	defer p.stop()
	began := time.Now()
	p.log.Info("draining", "deadline", p.timing.Drain)
	p.draining.Store(true)
	p.withdraw()
	deadline := time.NewTimer(p.timing.Drain)
	defer deadline.Stop()
	// The application may need its upstreams to answer what its callers have asked: they are last to go.
	for _, inbound := range [2]bool{true, false} {
		closing := p.closeListeners(inbound)
		p.wakeSweep()
		for _, l := range closing {
			select {
			case <-l.whenIdle():
			case <-p.stopped():
				return
			case <-deadline.C:
				p.cutAll()
				p.log.Warn("drained at the deadline: open connections were cut off", "after", time.Since(began))
				return
			}
		}
	}
	p.log.Info("drained", "after", time.Since(began))
}

// withdraw leaves the healthy set, and returns once no subscriber should come any more.
func (p *Proxy) withdraw() {
	if p.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx(), p.timing.Withdraw)
	defer cancel()
	withdrawn, release, err := p.lease.Withdraw(ctx)
	if err != nil {
		p.log.Warn("the agent did not take this instance out of the healthy set", "error", err)
		return
	}
	select {
	case <-withdrawn:
		p.log.Info("subscribers have the other endpoints")
	case <-ctx.Done():
		if p.ctx().Err() != nil && release != nil {
			release()
			return
		}
		p.log.Warn("not all subscribers are known to have the other endpoints", "after", p.timing.Withdraw)
	}
}

// closeListeners closes those of one direction and returns all of them.
func (p *Proxy) closeListeners(inbound bool) []*listener {
	p.mu.Lock()
	p.closedInbound = true
	p.closedOutbound = p.closedOutbound || !inbound
	var closing []*listener
	for _, l := range p.listeners {
		if l.spec.Load().res.Inbound() == inbound {
			closing = append(closing, l)
		}
	}
	for l := range p.retired {
		if l.spec.Load().res.Inbound() == inbound {
			closing = append(closing, l)
		}
	}
	p.mu.Unlock()
	for _, l := range closing {
		l.close()
	}
	return closing
}
