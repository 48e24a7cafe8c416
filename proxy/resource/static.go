package resource

import (
	"context"
	"sync"
)

// Fed is a Source that hands on what its owner sets: a stand-alone proxy's command line feeds one. The zero value
// is not ready; use NewFed.
type Fed struct {
	mu      sync.Mutex
	state   *State
	waiting string
	changed chan struct{}
}

// NewFed returns a source without a state, which reports waiting until the first Set.
func NewFed(waiting string) *Fed {
	return &Fed{waiting: waiting, changed: make(chan struct{}, 1)}
}

// Set makes state the current one. It must not be changed afterwards.
func (f *Fed) Set(state *State) {
	f.mu.Lock()
	f.state, f.waiting = state, ""
	f.mu.Unlock()
	f.wake()
}

// Wait reports that the source cannot tell whether its state is still current, and why. The last state stays.
func (f *Fed) Wait(reason string) {
	f.mu.Lock()
	f.waiting = reason
	f.mu.Unlock()
	f.wake()
}

func (f *Fed) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// Run implements Source.
func (f *Fed) Run(ctx context.Context, sink Sink) {
	var applied *State
	for {
		f.mu.Lock()
		state, waiting := f.state, f.waiting
		f.mu.Unlock()
		if state != nil && state != applied {
			sink.Apply(state)
			applied = state
		}
		sink.Report(waiting)
		select {
		case <-ctx.Done():
			return
		case <-f.changed:
		}
	}
}
