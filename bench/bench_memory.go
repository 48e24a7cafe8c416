package main

import (
	"context"
	"fmt"
	"time"
)

// memoryBench reads what programs hold when idle and under load.
func memoryBench() bench {
	return bench{name: "memory", title: "Memory", run: runMemory}
}

// The connections of the loaded sidecars and server, and how long a program has to become idle.
const (
	memoryConnections = 256
	settle            = time.Second
)

func runMemory(ctx context.Context, r *rig) (*table, error) {
	b, err := newBackend(r)
	if err != nil {
		return nil, err
	}
	t := &table{
		header: []string{"MiB", "idle RSS", "idle anonymous", "loaded RSS", "loaded anonymous"},
		note: fmt.Sprintf("From smaps_rollup, once: a second after the start, and at the end of %s with %d keep-alive connections. RSS counts the "+
			"pages of the program's file that are mapped; anonymous is what the process needs for itself. nginx is the sum of its master and workers.",
			r.span, memoryConnections),
	}
	pairs, err := startPairs(ctx, r, b.addr(), pairKinds())
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if p.client == nil {
			continue
		}
		worker := keepAlive(p.front, same(get("bench", "/")))
		if err := memoryRow(ctx, r, t, p.name+" client side", p.client, worker); err != nil {
			return nil, err
		}
	}
	servers, err := startServers(ctx, r, serverKinds(r))
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := memoryRow(ctx, r, t, s.name+" server", s.process, keepAlive(s.http, same(get(s.http, "/v1/catalog/nodes")))); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func memoryRow(ctx context.Context, r *rig, t *table, name string, p *process, worker func(int) (func() (response, error), func(), error)) error {
	wait(ctx, settle)
	idle, err := memoryOf(p)
	if err != nil {
		return err
	}
	var loaded memory
	l := load{workers: memoryConnections, span: r.span, worker: worker, during: func(ctx context.Context) error {
		wait(ctx, r.span*9/10)
		var err error
		loaded, err = memoryOf(p)
		return err
	}}
	if _, err := l.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	t.add(name, mebibytes(float64(idle.rss)), mebibytes(float64(idle.anonymous)), mebibytes(float64(loaded.rss)), mebibytes(float64(loaded.anonymous)))
	return nil
}
