package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// outcome is what a load of requests came to.
type outcome struct {
	requests int
	took     time.Duration
	// latencies are sorted.
	latencies []time.Duration
	// cpu is what the measured processes used meanwhile.
	cpu time.Duration
	// last is one of the answers.
	last response
}

func (o *outcome) rate() float64 { return float64(o.requests) / o.took.Seconds() }

// record puts an outcome under a contender's name.
func (o *outcome) record(s samples, contender, prefix string) {
	s.add(contender, prefix+"rate", o.rate())
	s.add(contender, prefix+"p50", inMillis(percentile(o.latencies, 0.50)))
	s.add(contender, prefix+"p99", inMillis(percentile(o.latencies, 0.99)))
	if o.cpu > 0 { // where no process is measured there is no figure
		s.add(contender, prefix+"cpu", float64(o.cpu.Microseconds())/float64(max(1, o.requests)))
	}
}

// load is what a number of workers do for a while, each one request after another.
type load struct {
	workers      int
	warmup, span time.Duration
	// worker makes the state of one worker, whose step is one request. end is called when it is over.
	worker func(n int) (step func() (response, error), end func(), err error)
	// measured are the processes whose CPU time counts.
	measured []*process
	// during, if there is one, is called while the load runs, after the warmup.
	during func(ctx context.Context) error
}

// run drives the load. The first error ends it: what is measured has to work.
func (l *load) run(ctx context.Context) (*outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg        sync.WaitGroup
		mu        sync.Mutex
		result    outcome
		measuring = make(chan struct{})
		ready     sync.WaitGroup
	)
	ready.Add(l.workers)
	for n := range l.workers {
		wg.Go(func() {
			latencies, last, err := l.work(ctx, n, measuring, ready.Done)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				cancel(err)
			}
			result.latencies = append(result.latencies, latencies...)
			result.last = last
		})
	}
	ready.Wait()
	wait(ctx, l.warmup)
	before, err := cpuOf(l.measured...)
	if err != nil {
		cancel(err)
	}
	began := time.Now()
	close(measuring)
	if l.during != nil {
		if err := l.during(ctx); err != nil {
			cancel(err)
		}
	}
	wait(ctx, l.span-time.Since(began))
	result.took = time.Since(began)
	after, err := cpuOf(l.measured...)
	if err != nil {
		cancel(err)
	}
	if err := context.Cause(ctx); err != nil {
		cancel(err)
		wg.Wait()
		return nil, err
	}
	cancel(nil)
	wg.Wait()
	result.requests, result.cpu = len(result.latencies), after-before
	if result.requests == 0 {
		return nil, fmt.Errorf("no request was answered within %s", l.span)
	}
	slices.Sort(result.latencies)
	return &result, nil
}

// work is one worker until ctx ends. It keeps the latencies of what ended after measuring was closed.
func (l *load) work(ctx context.Context, n int, measuring <-chan struct{}, ready func()) (latencies []time.Duration, last response, err error) {
	step, end, err := l.worker(n)
	if err == nil {
		defer end()
		_, err = step() // makes connections further on, whose handshakes are not what keep-alive measures
	}
	ready()
	if err != nil {
		return nil, last, err
	}
	counts := false
	for ctx.Err() == nil {
		began := time.Now()
		if last, err = step(); err != nil {
			return nil, last, err
		}
		took := time.Since(began)
		if !counts {
			select {
			case <-measuring:
				counts = true
			default:
				continue
			}
		}
		if ctx.Err() == nil {
			latencies = append(latencies, took)
		}
	}
	return latencies, last, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// keepAlive is the worker that sends requests on one connection. next makes the bytes of a worker's request.
func keepAlive(addr string, next func(worker int) func() []byte) func(int) (func() (response, error), func(), error) {
	return func(n int) (func() (response, error), func(), error) {
		c, err := dial(addr, n)
		if err != nil {
			return nil, nil, err
		}
		request := next(n)
		return func() (response, error) { return answered(c.exchange(request())) }, c.close, nil
	}
}

// same is the request that never changes.
func same(request []byte) func(int) func() []byte {
	return func(int) func() []byte { return func() []byte { return request } }
}

// reconnecting is the worker whose every request has a connection of its own.
func reconnecting(addr string, request []byte) func(int) (func() (response, error), func(), error) {
	return func(n int) (func() (response, error), func(), error) {
		step := func() (response, error) {
			c, err := dial(addr, n)
			if err != nil {
				return response{}, err
			}
			defer c.close()
			return answered(c.exchange(request))
		}
		return step, func() {}, nil
	}
}

// answered makes an error of a status other than 200.
func answered(r response, err error) (response, error) {
	if err == nil && r.status != 200 {
		err = fmt.Errorf("answered with status %d", r.status)
	}
	return r, err
}
