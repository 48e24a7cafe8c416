package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// bench is one measurement.
type bench struct {
	// name is what -only takes, title the heading of its table.
	name, title string
	run         func(ctx context.Context, r *rig) (*table, error)
}

// benches are all measurements, in the order of the report.
func benches() []bench {
	return []bench{
		keepAliveBench(), connectionsBench(), bulkBench(), memoryBench(), startBench(),
		healthBench(), registerBench(), fanoutBench(), dnsBench(),
	}
}

func names(list []bench) (out []string) {
	for _, b := range list {
		out = append(out, b.name)
	}
	return out
}

// choose returns the benches that only names, all for "".
func choose(list []bench, only string) ([]bench, error) {
	if only == "" {
		return list, nil
	}
	var out []bench
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(list, func(b bench) bool { return b.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only=%s: there is no %q; there are %s", only, name, strings.Join(names(list), ", "))
		}
		out = append(out, list[i])
	}
	return out, nil
}

// rig is what benches stand on: where things are, how long to measure, and what was started.
type rig struct {
	binary, consul, dir, profile string
	keep                         bool
	// rounds is how often each contender is measured, span how long each time, after warmup.
	rounds       int
	span, warmup time.Duration

	processes []*process
	closers   []func()
	started   int
	skipped   []string
}

func newRig(o options) (*rig, error) {
	r := &rig{rounds: 3, span: 3 * time.Second, warmup: 500 * time.Millisecond, keep: o.keep, profile: o.profile}
	if o.quick {
		r.rounds, r.span, r.warmup = 1, time.Second, 200*time.Millisecond
	}
	var err error
	if r.binary, err = program("binary", o.binary); err != nil {
		return nil, err
	}
	if o.consul != "" {
		if r.consul, err = program("consul", o.consul); err != nil {
			return nil, err
		}
	}
	if r.profile != "" {
		if err := os.MkdirAll(r.profile, 0o755); err != nil {
			return nil, err
		}
	}
	r.dir, err = os.MkdirTemp("", "lictor-bench-")
	return r, err
}

// program makes the path of a program absolute, and looks whether it is there.
func program(flag, path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(full); err != nil {
		return "", fmt.Errorf("-%s=%s: %w; make build makes bin/lictor", flag, path, errors.Unwrap(err))
	}
	return full, nil
}

// say tells the user how far it is.
func (r *rig) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// skip notes a contender that cannot be measured here, and says so once.
func (r *rig) skip(what, why string) {
	line := what + " is skipped: " + why
	if !slices.Contains(r.skipped, line) {
		r.skipped = append(r.skipped, line)
		r.say("  %s", line)
	}
}

func (r *rig) describeRounds() string {
	return fmt.Sprintf("medians of %d rounds of %s for each contender, in alternating order; ratios are medians of the rounds' own", r.rounds, r.span)
}

// newDir makes a directory of a contender's own.
func (r *rig) newDir(name string) (string, error) {
	r.started++
	dir := filepath.Join(r.dir, fmt.Sprintf("%02d-%s", r.started, strings.NewReplacer(" ", "-", "/", "-").Replace(name)))
	return dir, os.Mkdir(dir, 0o755) // a peer's workers may run as another user, and pass through it
}

// onClose has something ended together with the contenders.
func (r *rig) onClose(f func()) { r.closers = append(r.closers, f) }

// closeContenders ends what was started since the last call.
func (r *rig) closeContenders() {
	for _, f := range slices.Backward(r.closers) {
		f()
	}
	var wg sync.WaitGroup
	for _, p := range r.processes {
		wg.Go(func() { p.stop(quitTimeout) })
	}
	wg.Wait()
	r.closers, r.processes = nil, nil
}

func (r *rig) close() {
	r.closeContenders()
	if r.keep {
		r.say("configurations and logs are in %s", r.dir)
		return
	}
	_ = os.RemoveAll(r.dir)
}

// where tells where logs are for a look at what failed.
func (r *rig) where() string {
	if r.keep {
		return "logs are in " + r.dir
	}
	return "-keep keeps the logs"
}

// rounds calls measure for each contender in each round. Every second round goes backwards, so that none always
// follows the same one.
func rounds[T any](ctx context.Context, n int, contenders []T, measure func(T) error) error {
	for round := range n {
		order := slices.Clone(contenders)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := measure(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// until calls try every pause until it succeeds, for limit at the most.
func until(ctx context.Context, limit, pause time.Duration, what string, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
