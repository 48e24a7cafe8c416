package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// registerBench writes to the catalog of a durable server.
func registerBench() bench {
	return bench{name: "register", title: "Catalog registrations, one durable server", run: runRegister}
}

// apiConnections are the keep-alive connections of the HTTP API's benches.
const apiConnections = 64

func runRegister(ctx context.Context, r *rig) (*table, error) {
	servers, err := startServers(ctx, r, serverKinds(r))
	if err != nil {
		return nil, err
	}
	found := samples{}
	round := 0
	err = rounds(ctx, r.rounds, servers, func(s *server) error {
		round++
		l := load{workers: apiConnections, warmup: r.warmup, span: r.span, measured: []*process{s.process},
			worker: keepAlive(s.http, registering(s.http, round))}
		o, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		o.record(found, s.name, "")
		return nil
	})
	t := &table{
		header: []string{"server", "registrations/s", "p50 ms", "p99 ms", "CPU us/registration"},
		note: fmt.Sprintf("%d connections; each PUT /v1/catalog/register is a new instance of one of 16 services with a check, on one of 64 nodes, "+
			"and answered when it is on disk.", apiConnections),
	}
	for _, s := range servers {
		t.add(s.name, whole(found.median(s.name, "rate")), millis(found.median(s.name, "p50")), millis(found.median(s.name, "p99")),
			whole(found.median(s.name, "cpu")))
	}
	return t, err
}

// registering makes requests none of which repeats an earlier one.
func registering(host string, round int) func(int) func() []byte {
	return func(worker int) func() []byte {
		n := 0
		return func() []byte {
			n++
			reg := instance(fmt.Sprintf("service-%02d", n%16), worker, "1.0.0")
			reg.Service.ID = fmt.Sprintf("%d-%d-%d", round, worker, n)
			reg.Check.ServiceID, reg.Check.CheckID = reg.Service.ID, "service:"+reg.Service.ID
			body, err := json.Marshal(reg)
			if err != nil {
				panic(err) // strings and numbers have a form in JSON
			}
			return put(host, "/v1/catalog/register", body)
		}
	}
}
