package local

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The rhythm of anti-entropy.
const (
	DefaultSyncInterval        = time.Minute
	DefaultCheckUpdateInterval = 5 * time.Minute
	// coalesceMin and coalesceMax bound how long changes are gathered before they are written: on a host with
	// much on it a multiple of what looking for them costs, so that busy checks cannot keep a core busy.
	coalesceMin  = 5 * time.Millisecond
	coalesceMax  = 40 * time.Millisecond
	coalesceCost = 4
	// retryMin and retryMax bound the pause after a failure; it doubles from one to the next.
	retryMin = 100 * time.Millisecond
	retryMax = 15 * time.Second
	// writeTimeout bounds one exchange with the servers.
	writeTimeout = 20 * time.Second
	// scaleFrom is the number of nodes from which on full syncs become rarer.
	scaleFrom = 128
)

// Catalog is the catalog as a Syncer needs it. A zero token stands for the agent's own.
type Catalog interface {
	// NodeServices returns what the leader's catalog holds of this node: nil, or fault.NotFound, when it does
	// not know the node. It must not be answered from an older state than the last write.
	NodeServices(ctx context.Context) (*model.NodeServices, error)
	Register(ctx context.Context, token model.Secret, r *model.Registration) error
	Deregister(ctx context.Context, token model.Secret, r *model.Deregistration) error
}

// SyncerOptions configure a Syncer.
type SyncerOptions struct {
	Log     hclog.Logger
	State   *State
	Catalog Catalog
	// Interval is ae_interval: the time between full syncs in a small cluster; 0 is the default.
	Interval time.Duration
	// CheckUpdateInterval is how often changes of nothing but a check's output are written; 0 is always.
	CheckUpdateInterval time.Duration
	// Members counts the nodes of the cluster; nil is one.
	Members func() int
	// Random returns a random duration in [0, n); nil is the runtime's.
	Random func(n time.Duration) time.Duration
}

// Syncer keeps the catalog equal to a State.
type Syncer struct {
	o     SyncerOptions
	wake  chan struct{}
	ready chan struct{}

	// remote is what the catalog holds as far as is known; nil is unknown.
	remote *model.NodeServices
	isOK   bool
	// outputs are the times at which the checks' outputs were last written.
	outputs map[model.CheckID]time.Time
	// refused are the records whose write was refused; they are tried again when they changed, or with the next
	// full sync.
	refused map[any]bool
	// cost is how long the last comparison took.
	cost time.Duration
}

// NewSyncer makes a Syncer; Run starts it.
func NewSyncer(o SyncerOptions) *Syncer {
	if o.Interval <= 0 {
		o.Interval = DefaultSyncInterval
	}
	if o.Members == nil {
		o.Members = func() int { return 1 }
	}
	if o.Random == nil {
		o.Random = func(n time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(max(n, 1)))) }
	}
	return &Syncer{o: o, wake: make(chan struct{}, 1), ready: make(chan struct{}), outputs: map[model.CheckID]time.Time{}}
}

// Wake asks for a full sync at once: when the agent has found servers again.
func (s *Syncer) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Ready is closed after the first full sync: the catalog knows the node and all it has.
func (s *Syncer) Ready() <-chan struct{} { return s.ready }

// Run syncs until ctx ends.
func (s *Syncer) Run(ctx context.Context) {
	full := time.NewTimer(s.fullInterval())
	defer full.Stop()
	retry := retryMin
	for {
		// Taken before the state is read, so that no change falls in between.
		changed := s.o.State.Changed()
		due, err := s.sync(ctx)
		if ctx.Err() != nil {
			return
		}
		var again <-chan time.Time
		if err != nil {
			pause := retry + s.o.Random(retry)
			s.o.Log.Warn("cannot sync with the catalog", failure(err, "retry_in", pause.Round(time.Millisecond))...)
			s.remote, s.isOK = nil, false
			changed, again, retry = nil, time.After(pause), min(2*retry, retryMax)
		} else {
			retry = retryMin
			if !due.IsZero() {
				again = time.After(time.Until(due))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-changed:
			if !sleep(ctx, min(max(coalesceMin, coalesceCost*s.cost), coalesceMax)) {
				return
			}
		case <-s.wake:
			s.remote, s.isOK = nil, false
		case <-full.C:
			s.remote, s.isOK = nil, false
			full.Reset(s.fullInterval())
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// fullInterval grows with the logarithm of the cluster, so that its servers are not busy with syncs alone, and
// is spread over as much again.
func (s *Syncer) fullInterval() time.Duration {
	scale := 1.0
	if n := s.o.Members(); n > scaleFrom {
		scale = math.Ceil(math.Log2(float64(n))-math.Log2(scaleFrom)) + 1
	}
	d := time.Duration(scale) * s.o.Interval
	return d + s.o.Random(d)
}

// sync makes the catalog equal to the state once. It returns when the next output is due that was held back.
func (s *Syncer) sync(ctx context.Context) (time.Time, error) {
	if !s.isOK {
		if err := s.read(ctx); err != nil {
			return time.Time{}, err
		}
	}
	began := time.Now()
	plan := Diff(s.desired(), s.remote, began)
	s.cost = time.Since(began)
	for id, tags := range plan.Tags {
		s.o.State.AdoptTags(id, tags)
	}
	for _, c := range plan.Changes {
		if err := s.apply(ctx, c); err != nil {
			return time.Time{}, err
		}
	}
	s.confirm()
	return plan.Due, nil
}

func (s *Syncer) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	remote, err := s.o.Catalog.NodeServices(ctx)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	s.remote, s.isOK, s.refused = remote, true, map[any]bool{}
	return nil
}

func (s *Syncer) desired() *Desired {
	d := s.o.State.Desired()
	if s.o.CheckUpdateInterval > 0 {
		for i := range d.Checks {
			c := &d.Checks[i]
			if last, ok := s.outputs[c.Check.CheckID]; ok {
				c.OutputDue = last.Add(s.o.CheckUpdateInterval)
			}
		}
	}
	return d
}

// apply makes one change. A write that is refused for what it says is noted and passed over: the others must
// not wait for it. Only the node itself must be accepted before anything else is written under its name.
func (s *Syncer) apply(ctx context.Context, c Change) error {
	parts := c.split()
	switch refused := s.countRefused(c); {
	case refused > 0 && refused == len(c.subjects):
		return nil
	case refused > 0 && len(parts) > 1:
		return s.applyEach(ctx, parts)
	}
	err := s.write(ctx, c)
	if err == nil {
		s.remote = applied(s.remote, c)
		s.note(c)
		return nil
	}
	if !refusal(err) || c.isNode() {
		return err
	}
	if len(parts) > 1 {
		return s.applyEach(ctx, parts)
	}
	for _, subject := range c.subjects {
		s.refused[subject] = true
	}
	s.o.Log.Error("the catalog refused a registration", failure(err, "what", c.String())...)
	return nil
}

// failure adds an error and its hint, if it has one, to the fields of a log line.
func failure(err error, fields ...any) []any {
	fields = append(fields, "error", err)
	if hint := fault.HintOf(err); hint != "" {
		fields = append(fields, "hint", hint)
	}
	return fields
}

func (s *Syncer) applyEach(ctx context.Context, parts []Change) error {
	for _, p := range parts {
		if err := s.apply(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Syncer) countRefused(c Change) int {
	n := 0
	for _, subject := range c.subjects {
		if s.refused[subject] {
			n++
		}
	}
	return n
}

func refusal(err error) bool {
	switch fault.KindOf(err) {
	case fault.BadRequest, fault.Invalid, fault.Permission, fault.NotFound, fault.Conflict, fault.TooLarge:
		return true
	default:
		return false
	}
}

func (s *Syncer) write(ctx context.Context, c Change) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if c.Register != nil {
		return s.o.Catalog.Register(ctx, c.Token, c.Register)
	}
	return s.o.Catalog.Deregister(ctx, c.Token, c.Deregister)
}

func (s *Syncer) note(c Change) {
	s.o.Log.Debug("synced", "what", c.String())
	if c.Register == nil {
		delete(s.outputs, c.Deregister.CheckID)
		return
	}
	for _, k := range c.Register.Checks {
		s.outputs[k.CheckID] = time.Now()
	}
}

// confirm tells the state what the catalog has, and that the first sync is done.
func (s *Syncer) confirm() {
	s.o.State.confirm(func(id model.CheckID) *model.Check {
		if s.remote == nil {
			return nil
		}
		for _, c := range s.remote.Checks {
			if c.CheckID == id {
				return c
			}
		}
		return nil
	})
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}
