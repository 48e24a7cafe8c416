package view

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Source gives results of reads.
type Source interface {
	// Fetch returns the current result. With min > 0 it waits until the result's index is greater, for wait at
	// the most, and then returns what there is. It fails only for unknown reads, bad arguments and ctx.
	Fetch(ctx context.Context, q Query, min model.Index, wait time.Duration) (*Result, error)
	// Watch keeps a view for a subscriber, until that closes the Watch.
	Watch(q Query) (*Watch, error)
}

// view is the current result of a query, and the means to wait for the next.
type view struct {
	query Query
	// refresh returns the result as of now, nil when there is none yet.
	refresh func() *Result
	result  atomic.Pointer[Result]

	mu   sync.Mutex
	wake chan struct{}

	// users and idleSince belong to the set that holds the view.
	users     int
	idleSince time.Time
}

// woken returns the channel that the next change closes.
func (v *view) woken() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.wake == nil {
		v.wake = make(chan struct{})
	}
	return v.wake
}

// awaited tells whether somebody holds the channel of the next change.
func (v *view) awaited() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.wake != nil
}

// broadcast wakes whoever waits.
func (v *view) broadcast() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.wake != nil {
		close(v.wake)
		v.wake = nil
	}
}

// fetch implements Source.Fetch on a view that the caller holds.
func (v *view) fetch(ctx context.Context, min model.Index, wait time.Duration) (*Result, error) {
	var timeout <-chan time.Time
	var start *Result
	for {
		woken := v.woken()
		r := v.refresh()
		if start == nil {
			start = r
		}
		if r != nil && (min == 0 || r.index > min || r.epoch != start.epoch) {
			return r, nil
		}
		if timeout == nil {
			t := time.NewTimer(wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-woken:
		case <-timeout:
			if r := v.refresh(); r != nil {
				return r, nil
			}
			return nil, fault.New(fault.Unavailable, "no server has answered %s yet", v.query.Read)
		case <-ctx.Done():
			return nil, fault.New(fault.Canceled, "the caller went away: %w", ctx.Err())
		}
	}
}

// Watch is a subscriber's hold on a view.
type Watch struct {
	view  *view
	close func()
}

// Current returns the result as of now, nil when there is none yet, and a channel that is closed when it has
// been superseded.
func (w *Watch) Current() (*Result, <-chan struct{}) {
	woken := w.view.woken()
	return w.view.refresh(), woken
}

// Close lets the view go. It may be called more than once.
func (w *Watch) Close() { w.close() }

// set holds the views of a Source by query.
type set struct {
	mu    sync.Mutex
	views map[Query]*view
	now   func() time.Time
	// opened and dropped tell the owner that a view begins and ends. They are called with mu held.
	opened  func(*view) error
	dropped func(*view)
}

// hold returns the view of q, made if need be, with one more user.
func (s *set) hold(q Query) (*view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[q]
	if v == nil {
		if len(s.views) >= maxViews {
			s.evict()
		}
		v = &view{query: q}
		if err := s.opened(v); err != nil {
			return nil, err
		}
		s.views[q] = v
	}
	v.users++
	return v, nil
}

// maxViews bounds the views of a Source: those that nobody holds give way, the longest idle first.
const maxViews = 16384

// evict drops the view that has been idle for longest, if any is.
func (s *set) evict() {
	var oldest *view
	for _, v := range s.views {
		if v.users == 0 && (oldest == nil || v.idleSince.Before(oldest.idleSince)) {
			oldest = v
		}
	}
	if oldest != nil {
		s.drop(oldest)
	}
}

func (s *set) release(v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.users--
	v.idleSince = s.now()
}

func (s *set) drop(v *view) {
	delete(s.views, v.query)
	s.dropped(v)
}

// sweep drops the views that nobody has used for idle.
func (s *set) sweep(idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.now().Add(-idle)
	for _, v := range s.views {
		if v.users == 0 && v.idleSince.Before(limit) {
			s.drop(v)
		}
	}
}

func (s *set) fetch(ctx context.Context, q Query, min model.Index, wait time.Duration) (*Result, error) {
	v, err := s.hold(q)
	if err != nil {
		return nil, err
	}
	defer s.release(v)
	return v.fetch(ctx, min, wait)
}

func (s *set) watch(q Query) (*Watch, error) {
	v, err := s.hold(q)
	if err != nil {
		return nil, err
	}
	return &Watch{view: v, close: sync.OnceFunc(func() { s.release(v) })}, nil
}
