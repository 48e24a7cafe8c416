package demo

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// loadRate is the load under which the scenario runs, in requests per second.
const loadRate = 200

// load sends requests to web at a constant rate, whatever becomes of those before, until stopped.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	sent     int
	failures []failure
	// by counts the answers by the instance of db that gave them, last is when each gave one.
	by   map[string]int
	last map[string]time.Time
}

// failure is a request that was not answered with 200.
type failure struct {
	sent time.Time
	err  error
}

func (m *Mesh) startLoad(ctx context.Context, query string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, by: map[string]int{}, last: map[string]time.Time{}}
	l.wg.Go(func() {
		tick := time.NewTicker(time.Second / loadRate)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// A request under way is not cut short by the end of the load.
				l.wg.Go(func() { l.one(m, context.WithoutCancel(ctx), query) })
			}
		}
	})
	return l
}

func (l *load) one(m *Mesh, ctx context.Context, query string) {
	sent := time.Now()
	a, err := m.ask(ctx, query)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failures = append(l.failures, failure{sent, err})
		return
	}
	for a.Upstream != nil {
		a = a.Upstream
	}
	l.by[a.Instance]++
	l.last[a.Instance] = sent
}

// stop ends the load and waits for the requests under way.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

// answered is how many answers an instance has given so far.
func (l *load) answered(instance string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[instance]
}

// failedSince returns an error when a request that was sent after t failed.
func (l *load) failedSince(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, first := 0, error(nil)
	for _, f := range l.failures {
		if f.sent.After(t) {
			if n == 0 {
				first = fmt.Errorf("sent %s after the mark: %w", f.sent.Sub(t).Round(time.Millisecond), f.err)
			}
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d requests failed; the first, %w", n, l.sent, first)
	}
	return nil
}

// count is how many requests have ended.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}
