package checks

import (
	"context"
	"sync"
)

// Runner owns the goroutines of an agent's checks.
type Runner struct {
	env    *Env
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewRunner makes a Runner whose checks share env, which must not change afterwards.
func NewRunner(env *Env) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{env: env, ctx: ctx, cancel: cancel}
}

// Running is one check of a Runner.
type Running struct {
	check  Check
	runner *Runner
	cancel context.CancelFunc
}

// Prepare makes the check that s defines without starting it, so that a definition can be refused before
// anything was changed.
func (r *Runner) Prepare(s Spec) (*Running, error) {
	c, err := New(s, r.env)
	if err != nil {
		return nil, err
	}
	return &Running{check: c, runner: r}, nil
}

// Start runs the check until Stop, or the Runner's Close. It is called once, and not together with Stop.
func (c *Running) Start() {
	ctx, cancel := context.WithCancel(c.runner.ctx)
	c.cancel = cancel
	c.runner.wg.Go(func() {
		defer cancel()
		c.check.Run(ctx)
	})
}

// Stop ends the check, if it was started. It does not wait: a result may still be reported.
func (c *Running) Stop() {
	if c.cancel != nil {
		c.cancel()
	}
}

// Kick makes the check run at once; see Kicker. The channel of a check that cannot be kicked is closed.
func (c *Running) Kick() <-chan struct{} {
	if k, ok := c.check.(Kicker); ok {
		return k.Kick()
	}
	fresh := make(chan struct{})
	close(fresh)
	return fresh
}

// Update reports r as the result of a check that is told by others, and tells whether the check is one.
func (c *Running) Update(r Result) bool {
	u, ok := c.check.(Updater)
	if ok {
		u.Update(r)
	}
	return ok
}

// OutputMaxSize is the bound of the check outputs of this agent, in bytes.
func (r *Runner) OutputMaxSize() int {
	if r.env.OutputMaxSize <= 0 {
		return DefaultOutputMaxSize
	}
	return r.env.OutputMaxSize
}

// Close ends every check and waits for them.
func (r *Runner) Close() {
	r.cancel()
	r.wg.Wait()
}

// Vet tells whether this agent could run what s defines.
func (r *Runner) Vet(s Spec) error {
	_, err := New(s, r.env)
	return err
}
