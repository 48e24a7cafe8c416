package view_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

type fixture struct {
	store  *state.Store
	engine *view.Engine
	reads  *read.Set
	index  model.Index
}

func start(t *testing.T) *fixture {
	f := &fixture{store: state.New(), reads: read.New(), index: 9}
	f.engine = view.NewEngine(f.store, f.reads.All())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.engine.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

func (f *fixture) register(t *testing.T, node, service string, checks ...*model.Check) {
	t.Helper()
	f.index++
	c := &command.Register{Registration: model.Registration{Node: model.Node{Node: model.NodeName(node), Address: "10.0.0.1"},
		Service: &model.Service{ID: model.ServiceID(service), Service: model.ServiceName(service)}, Checks: checks}}
	e, err := command.Wrap(c, "", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	_, topics, err := command.Apply(f.store, f.index, command.Batch{e})
	if err != nil {
		t.Fatal(err)
	}
	f.engine.Notify(topics)
}

func TestPlainFetchShowsTheLastWrite(t *testing.T) {
	f := start(t)
	q := f.reads.Health.Query(read.ServiceArgs{Service: "web"})
	for n := range 20 {
		f.register(t, string(rune('a'+n)), "web")
		r, err := f.engine.Fetch(t.Context(), q, 0, 0)
		if err != nil || len(*f.reads.Health.Value(r)) != n+1 || r.Index() != f.index {
			t.Fatalf("after %d: %v, index %d want %d", n+1, err, r.Index(), f.index)
		}
	}
}

func TestOneComputationForAllWaiters(t *testing.T) {
	f := start(t)
	f.register(t, "n", "web")
	q := f.reads.Health.Query(read.ServiceArgs{Service: "web"})
	var rendered atomic.Int64
	var waiting, done sync.WaitGroup
	for range 50 {
		waiting.Add(1)
		done.Go(func() {
			min := f.index
			waiting.Done()
			r, err := f.engine.Fetch(t.Context(), q, min, time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			r.Memo("json", func() any { rendered.Add(1); return nil })
		})
	}
	waiting.Wait()
	f.register(t, "m", "web")
	done.Wait()
	if rendered.Load() > 2 {
		t.Errorf("rendered %d times for 50 waiters", rendered.Load())
	}
}

func TestUnrelatedWriteWakesNobody(t *testing.T) {
	f := start(t)
	f.register(t, "n", "web")
	w, err := f.engine.Watch(f.reads.Service.Query(read.ServiceArgs{Service: "web"}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	other, err := f.engine.Watch(f.reads.Service.Query(read.ServiceArgs{Service: "other"}))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, otherWoken := other.Current()
	f.register(t, "n", "other")
	<-otherWoken // the engine has caught up with all that came before the watch
	_, woken := w.Current()
	_, otherWoken = other.Current()
	f.register(t, "n", "web", &model.Check{CheckID: "c", ServiceID: "web", Status: "critical"})
	f.register(t, "m", "other")
	<-otherWoken
	select {
	case <-woken:
		t.Error("a check and another service woke the watcher of web's instances")
	default:
	}
}

func TestFetchEndsWithItsWait(t *testing.T) {
	f := start(t)
	f.register(t, "n", "web")
	r, err := f.engine.Fetch(t.Context(), f.reads.Nodes.Query(view.None{}), f.index, time.Millisecond)
	if err != nil || r.Index() != f.index {
		t.Errorf("%v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.engine.Fetch(ctx, f.reads.Nodes.Query(view.None{}), f.index, time.Hour); err == nil {
		t.Error("a caller that went away was answered")
	}
}

type upstream struct{ subscribed []view.Query }

func (u *upstream) Subscribe(q view.Query, _ model.Index) { u.subscribed = append(u.subscribed, q) }
func (u *upstream) Unsubscribe(view.Query)                {}

func TestMirrorNeverGoesBack(t *testing.T) {
	f := start(t)
	f.register(t, "n", "web")
	q := f.reads.Health.Query(read.ServiceArgs{Service: "web"})
	r, err := f.engine.Fetch(t.Context(), q, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	up := &upstream{}
	m := view.NewMirror(up, f.reads.All())
	w, err := m.Watch(q)
	if err != nil || len(up.subscribed) != 1 {
		t.Fatal(err, up.subscribed)
	}
	for _, index := range []model.Index{20, 19} {
		if err := m.Deliver(q, index, r.Encoded(), false); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := w.Current()
	if got.Index() != 20 || len(*f.reads.Health.Value(got)) != 1 {
		t.Errorf("index %d, %v", got.Index(), f.reads.Health.Value(got))
	}
	if err := m.Deliver(q, 3, r.Encoded(), true); err != nil {
		t.Fatal(err)
	}
	if got, _ = w.Current(); got.Index() != 3 {
		t.Errorf("after a restore the index is %d", got.Index())
	}
}
