package main

import (
	"context"
	"fmt"
	"time"
)

// bulkBench moves one large answer.
func bulkBench() bench {
	return bench{name: "bulk", title: "Sidecar pair, one answer of 100 MiB", run: runBulk}
}

func runBulk(ctx context.Context, r *rig) (*table, error) {
	b, err := newBackend(r)
	if err != nil {
		return nil, err
	}
	pairs, err := startPairs(ctx, r, b.addr(), pairKinds())
	if err != nil {
		return nil, err
	}
	found := samples{}
	// Twice as many rounds as elsewhere: one is short, and noise from other programs shows.
	err = rounds(ctx, 2*r.rounds, pairs, func(p *pair) error {
		c, err := dial(p.front, 0)
		if err != nil {
			return err
		}
		defer c.close()
		before, err := cpuOf(p.sides()...)
		if err != nil {
			return err
		}
		began := time.Now()
		got, err := answered(c.exchange(get("bench", bulkPath)))
		took := time.Since(began)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if got.size != bulkSize {
			return fmt.Errorf("%s: %d bytes arrived, not %d", p.name, got.size, bulkSize)
		}
		after, err := cpuOf(p.sides()...)
		found.add(p.name, "rate", bulkSize/1e6/took.Seconds())
		if after > before {
			found.add(p.name, "cpu", inMillis(after-before))
		}
		return err
	})
	t := &table{
		header: []string{"pair", "MB/s", "pair's CPU ms", "to haproxy"},
		note:   "One connection, a fresh one for each answer; load generator and backend share the cores. " + tlsNote,
	}
	for _, p := range pairs {
		t.add(p.name, whole(found.median(p.name, "rate")), whole(found.median(p.name, "cpu")), found.ratio(p.name, haproxyName, "rate"))
	}
	return t, err
}
