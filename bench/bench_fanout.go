package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// fanoutBench lets one change wake many blocking queries.
func fanoutBench() bench {
	return bench{name: "fanout", title: "One change to 1,000 blocking queries, a service of 100 instances", run: runFanout}
}

const (
	watchers        = 1000
	fanoutInstances = 100
	// changes is how often the service changes in a round.
	changes = 5
)

func runFanout(ctx context.Context, r *rig) (*table, error) {
	servers, err := startServers(ctx, r, append(serverKinds(r), floorKind()))
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := s.register("web", fanoutInstances); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	found := samples{}
	version := 0
	err = rounds(ctx, r.rounds, servers, func(s *server) error {
		if err := fanoutRound(ctx, r, s, found, &version); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		return nil
	})
	t := &table{
		header: []string{"server", "first after ms", "median after ms", "last after ms", "CPU ms", "parked RSS MiB", "answer KiB"},
		note: fmt.Sprintf("%d connections wait in /v1/health/service/web?passing&index=N&wait=5m with gzip; one instance changes; times are from sending "+
			"the change to the end of an answer, the median of %d changes a round. CPU is the server's from the change to the last answer. %s",
			watchers, changes, floorNote),
	}
	for _, s := range servers {
		t.add(s.name, millis(found.median(s.name, "first")), millis(found.median(s.name, "middle")), millis(found.median(s.name, "last")),
			cell("%.1f", found.median(s.name, "cpu")), mebibytes(found.median(s.name, "rss")), cell("%.1f", found.median(s.name, "size")/1024))
	}
	return t, err
}

// fanoutRound parks the watchers and changes the service some times.
func fanoutRound(ctx context.Context, r *rig, s *server, found samples, version *int) error {
	list := make([]*watcher, watchers)
	defer func() {
		for _, w := range list {
			if w != nil {
				w.c.close()
			}
		}
	}()
	for i := range list {
		c, err := dial(s.http, i)
		if err != nil {
			return fmt.Errorf("watcher %d: %w", i, err)
		}
		list[i] = &watcher{c: c, host: s.http}
	}
	if err := each(list, (*watcher).first); err != nil {
		return err
	}
	for range changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		*version++
		if err := oneChange(ctx, r, s, found, list, *version); err != nil {
			return err
		}
	}
	return nil
}

// oneChange parks the watchers, changes the service, and waits until all have heard of it.
func oneChange(ctx context.Context, r *rig, s *server, found samples, list []*watcher, version int) error {
	if err := each(list, (*watcher).park); err != nil {
		return err
	}
	wait(ctx, r.warmup) // the requests have arrived and the server is at rest
	parked, err := memoryOf(s.process)
	if err != nil {
		return err
	}
	before, err := cpuOf(s.process)
	if err != nil {
		return err
	}
	heard := make(chan error, 1)
	go func() { heard <- each(list, (*watcher).hear) }()
	began := time.Now()
	if err := s.put("/v1/catalog/register", instance("web", version%fanoutInstances, fmt.Sprintf("2.0.%d", version))); err != nil {
		return err
	}
	if err := <-heard; err != nil {
		return err
	}
	after, err := cpuOf(s.process)
	if err != nil {
		return err
	}
	times := make([]float64, 0, len(list))
	for _, w := range list {
		if w.heard.Before(began) {
			return fmt.Errorf("a watcher was answered before the change")
		}
		times = append(times, inMillis(w.heard.Sub(began)))
	}
	found.add(s.name, "first", least(times))
	found.add(s.name, "middle", median(times))
	found.add(s.name, "last", greatest(times))
	found.add(s.name, "cpu", inMillis(after-before))
	found.add(s.name, "rss", float64(parked.rss))
	found.add(s.name, "size", float64(list[0].size))
	return nil
}

// watcher is one blocking query after the other.
type watcher struct {
	c     *client
	host  string
	index uint64
	size  int64
	heard time.Time
}

const fanoutPath = "/v1/health/service/web?passing"

func (w *watcher) first() error {
	r, err := answered(w.c.exchange(get(w.host, fanoutPath, "Accept-Encoding: gzip\r\n")))
	w.index = r.index
	if err == nil && r.index == 0 {
		err = fmt.Errorf("the answer has no X-Consul-Index")
	}
	return err
}

// park sends the query and does not wait for the answer.
func (w *watcher) park() error {
	if err := w.c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	_, err := w.c.conn.Write(get(w.host, fmt.Sprintf("%s&index=%d&wait=5m", fanoutPath, w.index), "Accept-Encoding: gzip\r\n"))
	return err
}

func (w *watcher) hear() error {
	r, err := answered(w.c.read())
	w.heard = time.Now()
	if err == nil && r.index <= w.index {
		err = fmt.Errorf("the answer has index %d, not more than %d", r.index, w.index)
	}
	w.index, w.size = r.index, r.size
	return err
}

// each calls f for all watchers at the same time and returns the first error.
func each(list []*watcher, f func(*watcher) error) error {
	results := make(chan error, len(list))
	var wg sync.WaitGroup
	for _, w := range list {
		wg.Go(func() { results <- f(w) })
	}
	wg.Wait()
	for range list {
		if err := <-results; err != nil {
			return err
		}
	}
	return nil
}
