package view

import (
	"context"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
)

// idleAge is how long a view without users is kept.
const idleAge = 2 * time.Minute

// Engine is the Source of a server: it computes views from the server's state.
type Engine struct {
	store *state.Store
	reads catalog
	set   set
	// byTopic finds the views that depend on a topic; guarded by set.mu.
	byTopic map[state.Topic]map[*view]struct{}

	mu      sync.Mutex
	pending map[state.Topic]struct{}
	all     bool
	kick    chan struct{}
}

// NewEngine returns an engine for the reads over the store. Run must be running for waiters to be woken.
func NewEngine(store *state.Store, reads []Read) *Engine {
	e := &Engine{
		store: store, reads: newCatalog(reads),
		byTopic: map[state.Topic]map[*view]struct{}{},
		pending: map[state.Topic]struct{}{},
		kick:    make(chan struct{}, 1),
	}
	e.set = set{views: map[Query]*view{}, now: time.Now, opened: e.opened, dropped: e.dropped}
	return e
}

// Fetch implements Source.
func (e *Engine) Fetch(ctx context.Context, q Query, min model.Index, wait time.Duration) (*Result, error) {
	return e.set.fetch(ctx, q, min, wait)
}

// Watch implements Source.
func (e *Engine) Watch(q Query) (*Watch, error) { return e.set.watch(q) }

// Len is the number of views held now.
func (e *Engine) Len() int {
	e.set.mu.Lock()
	defer e.set.mu.Unlock()
	return len(e.set.views)
}

func (e *Engine) opened(v *view) error {
	r, err := e.reads.find(v.query)
	if err != nil {
		return err
	}
	p, err := r.plan(v.query.Args)
	if err != nil {
		return err
	}
	var computing sync.Mutex
	v.refresh = func() *Result { return e.refresh(v, p, &computing) }
	for _, t := range p.topics.Wake {
		if e.byTopic[t] == nil {
			e.byTopic[t] = map[*view]struct{}{}
		}
		e.byTopic[t][v] = struct{}{}
	}
	return nil
}

func (e *Engine) dropped(v *view) {
	r, _ := e.reads.find(v.query)
	p, _ := r.plan(v.query.Args)
	for _, t := range p.topics.Wake {
		delete(e.byTopic[t], v)
		if len(e.byTopic[t]) == 0 {
			delete(e.byTopic, t)
		}
	}
}

// refresh returns v's result as of the last commit. One caller computes, the others wait for it.
func (e *Engine) refresh(v *view, p plan, computing *sync.Mutex) *Result {
	if r := v.result.Load(); r != nil && e.holds(r) {
		return r
	}
	computing.Lock()
	defer computing.Unlock()
	r := v.result.Load()
	if r != nil && e.holds(r) {
		return r
	}
	snap := e.store.Snapshot()
	index := snap.TopicIndex(p.topics.index()...)
	if r != nil && r.epoch == snap.Epoch() && r.index == index {
		r.basis.Store(uint64(snap.Index()))
		return r
	}
	next := &Result{value: p.run(snap), index: index, epoch: snap.Epoch()}
	next.basis.Store(uint64(snap.Index()))
	v.result.Store(next)
	return next
}

// holds tells whether nothing was committed since r was known to hold.
func (e *Engine) holds(r *Result) bool {
	applied, epoch := e.store.Applied()
	return r.epoch == epoch && r.basis.Load() >= uint64(applied)
}

// Notify tells the engine which topics a commit moved. It never waits.
func (e *Engine) Notify(topics []state.Topic) {
	e.mu.Lock()
	for _, t := range topics {
		e.pending[t] = struct{}{}
	}
	e.mu.Unlock()
	e.nudge()
}

// NotifyAll wakes everybody: the whole state was replaced, or the leader is lost.
func (e *Engine) NotifyAll() {
	e.mu.Lock()
	e.all = true
	e.mu.Unlock()
	e.nudge()
}

func (e *Engine) nudge() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Run computes what is awaited, and wakes those who wait, until ctx ends. Commits that come while it computes
// are taken together.
func (e *Engine) Run(ctx context.Context) {
	sweep := time.NewTicker(idleAge / 4)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			e.set.sweep(idleAge)
		case <-e.kick:
			for _, v := range e.dirty() {
				v.refresh()
				v.broadcast()
			}
		}
	}
}

// dirty takes the pending topics, and returns the views that depend on them and are awaited.
func (e *Engine) dirty() []*view {
	e.mu.Lock()
	pending, all := e.pending, e.all
	e.pending, e.all = map[state.Topic]struct{}{}, false
	e.mu.Unlock()

	e.set.mu.Lock()
	defer e.set.mu.Unlock()
	found := map[*view]struct{}{}
	if all {
		for _, v := range e.set.views {
			found[v] = struct{}{}
		}
	}
	for t := range pending {
		for v := range e.byTopic[t] {
			found[v] = struct{}{}
		}
	}
	list := make([]*view, 0, len(found))
	for v := range found {
		if v.awaited() {
			list = append(list, v)
		}
	}
	return list
}
