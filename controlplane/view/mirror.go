package view

import (
	"context"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// Upstream is the stream that feeds a Mirror. Its calls never wait.
type Upstream interface {
	// Subscribe asks for a query's results, now and after each change; resume is the index already held.
	Subscribe(q Query, resume model.Index)
	// Unsubscribe ends that.
	Unsubscribe(q Query)
}

// Mirror is the Source of an agent without a state of its own: a server's stream feeds its views. When no
// server answers it goes on showing what it has.
type Mirror struct {
	reads catalog
	set   set
	up    Upstream
}

// NewMirror returns a mirror of the reads that up feeds through Deliver.
func NewMirror(up Upstream, reads []Read) *Mirror {
	m := &Mirror{reads: newCatalog(reads), up: up}
	m.set = set{views: map[Query]*view{}, now: time.Now, opened: m.opened, dropped: m.dropped}
	return m
}

// Fetch implements Source. Without a result yet, it waits for one.
func (m *Mirror) Fetch(ctx context.Context, q Query, min model.Index, wait time.Duration) (*Result, error) {
	return m.set.fetch(ctx, q, min, wait)
}

// Watch implements Source.
func (m *Mirror) Watch(q Query) (*Watch, error) { return m.set.watch(q) }

func (m *Mirror) opened(v *view) error {
	if _, err := m.reads.find(v.query); err != nil {
		return err
	}
	v.refresh = v.result.Load
	m.up.Subscribe(v.query, 0)
	return nil
}

func (m *Mirror) dropped(v *view) { m.up.Unsubscribe(v.query) }

// Deliver puts a result that the stream brought. A result older than the one held is dropped: a view never
// goes back in time, except when fresh says that the servers' state itself was replaced.
func (m *Mirror) Deliver(q Query, index model.Index, body []byte, fresh bool) error {
	r, err := m.reads.find(q)
	if err != nil {
		return err
	}
	value, err := r.decode(body)
	if err != nil {
		return err
	}
	m.set.mu.Lock()
	v := m.set.views[q]
	m.set.mu.Unlock()
	if v == nil {
		return nil
	}
	old := v.result.Load()
	if old != nil && index < old.index && !fresh {
		return nil
	}
	next := &Result{value: value, index: index}
	if old != nil {
		next.epoch = old.epoch
		if fresh {
			next.epoch++
		}
	}
	v.result.Store(next)
	v.broadcast()
	return nil
}

// Held returns the index of what the mirror shows for each of its queries, for resuming on another server.
func (m *Mirror) Held() map[Query]model.Index {
	m.set.mu.Lock()
	defer m.set.mu.Unlock()
	held := make(map[Query]model.Index, len(m.set.views))
	for q, v := range m.set.views {
		held[q] = 0
		if r := v.result.Load(); r != nil {
			held[q] = r.index
		}
	}
	return held
}

// Run drops idle views until ctx ends.
func (m *Mirror) Run(ctx context.Context) {
	sweep := time.NewTicker(idleAge / 4)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			m.set.sweep(idleAge)
		}
	}
}
