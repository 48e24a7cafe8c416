package checks

import (
	"context"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// ttl is a check whose result is told by its application, and which fails when it is not told in time.
type ttl struct {
	ttl    time.Duration
	report func(Result)
	wake   chan struct{}

	// mu also orders reports: an expiry that was decided before an update is never reported after it.
	mu       sync.Mutex
	deadline time.Time
	expired  bool
	output   string
	waiters  []chan struct{}
	ended    bool
}

// newTTL makes a check that waits for updates. A restored one goes on with the time it has left.
func newTTL(s Spec, _ *Env) (Check, error) {
	t := &ttl{ttl: s.Definition.TTL, report: s.Report, wake: make(chan struct{}, 1), deadline: s.Expires}
	if t.deadline.IsZero() {
		t.deadline = time.Now().Add(t.ttl)
	}
	return t, nil
}

// Run implements Check.
func (t *ttl) Run(ctx context.Context) {
	defer func() { closeAll(t.end()) }()
	timer := time.NewTimer(t.left())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			t.expire()
		case <-t.wake:
			timer.Reset(t.left())
		}
	}
}

func (t *ttl) left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Until(t.deadline)
}

func (t *ttl) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expired || t.ended {
		return
	}
	if time.Now().Before(t.deadline) {
		t.poke()
		return
	}
	t.expired = true
	text := "TTL expired"
	if t.output != "" {
		text += " (last output before timeout follows): " + t.output
	}
	t.settle(Result{Status: model.StatusCritical, Output: text})
}

// Update implements Updater.
func (t *ttl) Update(r Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.deadline = time.Now().Add(t.ttl)
	t.expired = false
	t.output = r.Output
	t.settle(r)
	t.poke()
}

// settle reports r and lets those go who wait for a result. t.mu is held.
func (t *ttl) settle(r Result) {
	r.Settled = true
	t.report(r)
	closeAll(t.waiters)
	t.waiters = nil
}

func (t *ttl) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Kick implements Kicker: nothing can be run, so that the fresh result is the next update, or the expiry.
func (t *ttl) Kick() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := make(chan struct{})
	if t.ended || t.expired {
		close(fresh)
		return fresh
	}
	t.waiters = append(t.waiters, fresh)
	return fresh
}

func (t *ttl) end() []chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	return t.waiters
}
