package main

import (
	"context"
	"fmt"
)

// keepAliveBench sends requests over connections that stay.
func keepAliveBench() bench {
	return bench{name: "keepalive", title: "Sidecar pair, keep-alive connections, 1 KiB answers", run: runKeepAlive}
}

func runKeepAlive(ctx context.Context, r *rig) (*table, error) {
	b, err := newBackend(r)
	if err != nil {
		return nil, err
	}
	pairs, err := startPairs(ctx, r, b.addr(), pairKinds())
	if err != nil {
		return nil, err
	}
	found := samples{}
	t := &table{
		header: []string{"connections, pair", "requests/s", "p50 ms", "p99 ms", "pair's CPU us/request", "to haproxy"},
		note: "Each connection sends its next request when the answer to the last one has arrived. " + tlsNote +
			" CPU is that of both proxies together.",
	}
	for _, connections := range []int{1, 32, 256} {
		prefix := fmt.Sprintf("%d ", connections)
		err := rounds(ctx, r.rounds, pairs, func(p *pair) error {
			l := load{workers: connections, warmup: r.warmup, span: r.span, measured: p.sides(),
				worker: keepAlive(p.front, same(get("bench", "/")))}
			l.during = func(ctx context.Context) error { return r.profiled(ctx, p, "keepalive", connections) }
			o, err := l.run(ctx)
			if err != nil {
				return fmt.Errorf("%s, %d connections: %w", p.name, connections, err)
			}
			o.record(found, p.name, prefix)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			t.add(prefix+p.name, whole(found.median(p.name, prefix+"rate")), millis(found.median(p.name, prefix+"p50")), millis(found.median(p.name, prefix+"p99")),
				cell("%.1f", found.median(p.name, prefix+"cpu")), found.ratio(p.name, haproxyName, prefix+"rate"))
		}
	}
	return t, nil
}
