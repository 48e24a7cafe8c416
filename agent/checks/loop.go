package checks

import (
	"context"
	"errors"
	"sync"
	"time"
)

// atOnceSpread keeps the checks of a starting agent from all running in the same instant.
const atOnceSpread = 100 * time.Millisecond

// unsettledPause is the longest time between two runs while somebody waits for a settled result.
const unsettledPause = time.Second

// loop runs a Probe every interval, and whenever it is kicked.
type loop struct {
	probe      Probe
	interval   time.Duration
	timeout    time.Duration
	first      time.Duration
	thresholds *Thresholds
	report     func(Result)

	wake chan struct{}
	mu   sync.Mutex
	// waiters are those who kicked since the last run began.
	waiters []chan struct{}
	ended   bool
}

// every makes a Check of a Probe. A timeout of 0 in the definition is defaultTimeout.
func every(s Spec, env *Env, p Probe, defaultTimeout time.Duration) Check {
	d := &s.Definition
	l := &loop{
		probe:      p,
		interval:   max(d.Interval, MinInterval),
		timeout:    d.Timeout,
		thresholds: NewThresholds(d, s.Status),
		report:     s.Report,
		wake:       make(chan struct{}, 1),
	}
	if l.timeout <= 0 {
		l.timeout = defaultTimeout
	}
	within := l.interval
	if s.AtOnce {
		within = atOnceSpread
	}
	l.first = env.Random(within)
	return l
}

// Run implements Check.
func (l *loop) Run(ctx context.Context) {
	var waiting []chan struct{}
	defer func() { closeAll(append(waiting, l.end()...)) }()
	timer := time.NewTimer(l.first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		waiting = append(waiting, l.take()...)
		r := l.run(ctx)
		if ctx.Err() != nil {
			return
		}
		l.report(r)
		next := l.interval
		if r.Settled {
			closeAll(waiting)
			waiting = nil
		} else if len(waiting) > 0 {
			next = min(next, unsettledPause)
		}
		timer.Reset(next)
	}
}

func (l *loop) run(ctx context.Context) Result {
	ctx, cancel := context.WithTimeoutCause(ctx, l.timeout, errTimeout)
	defer cancel()
	r := l.probe.Probe(ctx)
	found := r.Status
	r.Status = l.thresholds.Observe(found)
	r.Settled = r.Status == found
	return r
}

var errTimeout = errors.New("the check's timeout has passed")

// Kick implements Kicker.
func (l *loop) Kick() <-chan struct{} {
	fresh := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		close(fresh)
		return fresh
	}
	l.waiters = append(l.waiters, fresh)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return fresh
}

// take returns those whose kick the next run answers. It also takes the wake-up of a kick that came between
// the timer and here, so that it does not cause a second run.
func (l *loop) take() []chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.wake:
	default:
	}
	w := l.waiters
	l.waiters = nil
	return w
}

func (l *loop) end() []chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	return l.waiters
}

func closeAll(list []chan struct{}) {
	for _, c := range list {
		close(c)
	}
}
