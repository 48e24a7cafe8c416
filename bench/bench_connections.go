package main

import (
	"context"
	"fmt"
)

// connectionsBench has each request on a connection of its own.
func connectionsBench() bench {
	return bench{name: "connections", title: "Sidecar pair, new connections", run: runConnections}
}

// dialers is how many connections are made at a time.
const dialers = 32

func runConnections(ctx context.Context, r *rig) (*table, error) {
	b, err := newBackend(r)
	if err != nil {
		return nil, err
	}
	pairs, err := startPairs(ctx, r, b.addr(), append(pairKinds(), resumingHAProxy()))
	if err != nil {
		return nil, err
	}
	found := samples{}
	err = rounds(ctx, r.rounds, pairs, func(p *pair) error {
		l := load{workers: dialers, warmup: r.warmup, span: r.span, measured: p.sides(), worker: reconnecting(p.front, get("bench", "/"))}
		l.during = func(ctx context.Context) error { return r.profiled(ctx, p, "connections", dialers) }
		o, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		o.record(found, p.name, "")
		return nil
	})
	t := &table{
		header: []string{"pair", "connections/s", "p50 ms", "p99 ms", "pair's CPU us/connection", "to haproxy"},
		note: fmt.Sprintf("%d applications at a time connect, send one request, read 1 KiB and close. %s Each connection has a full handshake, but for "+
			"\"haproxy resuming\", which resumes sessions as haproxy does by default.", dialers, tlsNote),
	}
	for _, p := range pairs {
		t.add(p.name, whole(found.median(p.name, "rate")), millis(found.median(p.name, "p50")), millis(found.median(p.name, "p99")),
			whole(found.median(p.name, "cpu")), found.ratio(p.name, haproxyName, "rate"))
	}
	return t, err
}
