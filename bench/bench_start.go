package main

import (
	"context"
	"fmt"
	"time"
)

// startBench takes the time until programs are of use.
func startBench() bench {
	return bench{name: "start", title: "From start to use", run: runStart}
}

// starts is how often each is started.
const starts = 5

func runStart(ctx context.Context, r *rig) (*table, error) {
	t := &table{
		header: []string{"what", "median ms", "worst ms"},
		note: fmt.Sprintf("Of %d starts, from fork to the first success, asked for every 1 to 2 ms. \"Ready\" is a sidecar's own answer: certificate, "+
			"listeners and endpoints are there. A restart finds the data of the run before.", starts),
	}
	if err := sidecarStarts(ctx, r, t); err != nil {
		return nil, err
	}
	for _, k := range serverKinds(r) {
		if err := serverStarts(ctx, r, t, k); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *table) addTimes(what string, times []float64) {
	worst := 0.0
	for _, v := range times {
		worst = max(worst, v)
	}
	t.add(what, whole(median(times)), whole(worst))
}

// sidecarStarts starts a sidecar of an agent that has configured it before.
func sidecarStarts(ctx context.Context, r *rig, t *table) error {
	dir, err := r.newDir("warm")
	if err != nil {
		return err
	}
	agent, err := startServer(r, dir, "agent", r.binary)
	if err != nil {
		return err
	}
	if err := agent.writable(ctx, 20*time.Second); err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	if err := agent.put("/v1/agent/service/register", meshService("db", 1, ports[0], nil)); err != nil {
		return err
	}
	var times []float64
	for n := range starts + 1 {
		began := time.Now()
		p, err := startSidecar(ctx, r, dir, agent, "db", map[string]string{})
		if err != nil {
			return err
		}
		if n > 0 { // the first one warms the agent
			times = append(times, inMillis(time.Since(began)))
		}
		p.kill()
	}
	t.addTimes("lictor sidecar, agent warm: ready", times)
	return nil
}

func serverStarts(ctx context.Context, r *rig, t *table, k serverKind) error {
	var fresh, again []float64
	for range starts {
		dir, err := r.newDir(k.name)
		if err != nil {
			return err
		}
		began := time.Now()
		s, err := k.start(ctx, r, dir)
		if err == nil {
			err = s.writable(ctx, 60*time.Second)
		}
		if err != nil {
			return err
		}
		fresh = append(fresh, inMillis(time.Since(began)))
		s.process.stop(stopTimeout)
		began = time.Now()
		if err := s.startAgain(); err != nil {
			return err
		}
		if err := s.writable(ctx, 60*time.Second); err != nil {
			return err
		}
		again = append(again, inMillis(time.Since(began)))
		s.process.stop(stopTimeout)
	}
	t.addTimes(k.name+" server, new: first write", fresh)
	t.addTimes(k.name+" server, restarted: first write", again)
	return nil
}
