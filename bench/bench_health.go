package main

import (
	"context"
	"fmt"
)

// healthBench asks for the healthy instances of a service.
func healthBench() bench {
	return bench{name: "health", title: "Health queries, a service of 80 instances", run: runHealth}
}

const healthInstances = 80

func runHealth(ctx context.Context, r *rig) (*table, error) {
	servers, err := startServers(ctx, r, append(serverKinds(r), floorKind()))
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := s.register("web", healthInstances); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	found := samples{}
	err = rounds(ctx, r.rounds, servers, func(s *server) error {
		l := load{workers: apiConnections, warmup: r.warmup, span: r.span, measured: []*process{s.process},
			worker: keepAlive(s.http, same(get(s.http, "/v1/health/service/web?passing")))}
		o, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		o.record(found, s.name, "")
		found.add(s.name, "size", float64(o.last.size))
		return nil
	})
	t := &table{
		header: []string{"server", "queries/s", "p50 ms", "p99 ms", "CPU us/query", "answer KiB", "to the floor"},
		note:   fmt.Sprintf("%d connections ask /v1/health/service/web?passing without compression. %s", apiConnections, floorNote),
	}
	for _, s := range servers {
		t.add(s.name, whole(found.median(s.name, "rate")), millis(found.median(s.name, "p50")), millis(found.median(s.name, "p99")),
			cell("%.1f", found.median(s.name, "cpu")), cell("%.1f", found.median(s.name, "size")/1024), found.ratio(s.name, floorName, "rate"))
	}
	return t, err
}
