package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/carry"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// Proxy is one data plane: New, then Run once.
type Proxy struct {
	service  model.ServiceName
	source   resource.Source
	lease    Lease
	limits   Limits
	timing   Timing
	log      hclog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	trust    *trust
	gate     *gate
	buffers  *carry.Buffers
	admin    net.Listener

	// life ends when the proxy stops. Everything that waits, waits for it too.
	life     context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
	sweepNow chan struct{}

	readyOnce sync.Once
	ready     chan struct{}
	drainOnce sync.Once
	drained   chan struct{}
	draining  atomic.Bool

	denials        denialLabels
	bindComplaints limiter

	// readyMu guards what was last said about readiness.
	readyMu   sync.Mutex
	readiness readiness

	// routing is what connections look at: they wait for no reconciliation.
	routing atomic.Pointer[routing]

	// mu guards what reconciliation changes.
	mu             sync.Mutex
	state          *resource.State
	clusters       map[string]*cluster
	listeners      map[string]*listener
	retired        map[*listener]struct{}
	problems       map[string]string // listener name: why it is not up
	waiting        string            // what the source waits for
	closedInbound  bool
	closedOutbound bool
}

// New makes a proxy and binds its admin address. An error is of kind Invalid (the configuration) or Unavailable (the
// admin address is in use).
func New(cfg Config) (*Proxy, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	p := &Proxy{service: cfg.Service, source: cfg.Source, lease: cfg.Lease, limits: cfg.Limits, timing: cfg.Timing,
		log: cfg.Logger.Named("proxy"), registry: cfg.Registry, trust: newTrust(), buffers: carry.NewBuffers(),
		gate: newGate(cfg.Limits.Handshakes, cfg.Limits.HandshakesPerIP), sweepNow: make(chan struct{}, 1),
		ready: make(chan struct{}), drained: make(chan struct{}), clusters: make(map[string]*cluster),
		listeners: make(map[string]*listener), retired: make(map[*listener]struct{}),
		problems: make(map[string]string), waiting: "no configuration yet"}
	p.denials.seen = make(map[[3]string]*limiter)
	if cfg.AdminAddr != "" {
		admin, err := net.Listen("tcp", cfg.AdminAddr)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "admin address: %w", err).
				WithHint("free %s, or choose another admin address", cfg.AdminAddr)
		}
		p.admin = admin
	}
	p.metrics = newMetrics(cfg.Registry)
	p.life, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// AdminAddr is the bound admin address, nil without one.
func (p *Proxy) AdminAddr() net.Addr {
	if p.admin == nil {
		return nil
	}
	return p.admin.Addr()
}

// Ready is closed when the proxy is ready for the first time: certificates, roots and all listeners are there.
func (p *Proxy) Ready() <-chan struct{} { return p.ready }

// Run works until the proxy has drained, and returns nil; or until ctx ends, cuts off what is open, and returns nil
// too. It never returns because something is late.
func (p *Proxy) Run(ctx context.Context) error {
	p.running.Go(func() { p.source.Run(p.life, sink{p}) })
	p.running.Go(p.sweepLoop)
	if p.admin != nil {
		p.serveAdmin()
	}
	select {
	case <-ctx.Done():
		p.stop()
	case <-p.life.Done():
	}
	p.closeListeners(true)
	p.closeListeners(false)
	p.cutAll()
	p.running.Wait()
	return nil
}

func (p *Proxy) ctx() context.Context { return p.life }

func (p *Proxy) stopped() <-chan struct{} { return p.life.Done() }

// pause waits for d, and tells whether the proxy still runs.
func (p *Proxy) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.stopped():
		return false
	}
}

func (p *Proxy) everyListener() []*listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*listener, 0, len(p.listeners)+len(p.retired))
	for _, l := range p.listeners {
		all = append(all, l)
	}
	for l := range p.retired {
		all = append(all, l)
	}
	return all
}

func (p *Proxy) cutAll() {
	for _, l := range p.everyListener() {
		l.each(func(k *link) { k.cut("deadline") })
	}
}

// routing is where listeners lead at a moment. It is immutable.
type routing struct {
	state    *resource.State
	clusters map[string]*cluster
}

// reachFrom connects to where a listener leads.
func (p *Proxy) reachFrom(l *listener) (*reached, error) {
	now := p.routing.Load()
	name := destination(now.state, l.spec.Load().res)
	c := now.clusters[name]
	if c == nil {
		return nil, fault.New(fault.Unavailable, "the cluster %q is not known", name)
	}
	return c.connect(p.life)
}

// destination is the cluster that a listener leads to, empty while its route is not known.
func destination(s *resource.State, l *resource.Listener) string {
	if l.Cluster != "" {
		return l.Cluster
	}
	if r := s.Routes[l.Route]; r != nil {
		return r.Cluster
	}
	return ""
}

func isDenied(err error) bool { return errors.Is(err, errDenied) }

// denialLabels bounds the series of denials: sources are as many as the mesh has services.
type denialLabels struct {
	mu   sync.Mutex
	seen map[[3]string]*limiter
}

const maxDenialSeries = 1000

// bounded returns the labels to count with, and what paces their log lines.
func (d *denialLabels) bounded(labels [3]string) ([3]string, *limiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[labels] == nil && len(d.seen) >= maxDenialSeries {
		labels = [3]string{"other", labels[1], "other"}
	}
	if d.seen[labels] == nil {
		d.seen[labels] = &limiter{}
	}
	return labels, d.seen[labels]
}

// policyName is what a decision is logged as: nothing matching is a decision by default.
func policyName(d rbac.Decision) string {
	if d.Policy == "" {
		return "default"
	}
	return d.Policy
}

// denied logs and counts a denial with its source, its destination and the policy that decided.
func (p *Proxy) denied(l *listener, peer identity.ID, d rbac.Decision, what string) {
	source := string(peer.Service())
	if source == "" {
		source = string(peer)
	}
	labels, pace := p.denials.bounded([3]string{source, string(p.service), policyName(d)})
	p.metrics.denied.WithLabelValues(labels[:]...).Inc()
	pace.log(time.Now(), p.log.Warn, what, "source", source, "destination", p.service, "intention", policyName(d), "source_id", peer,
		"listener", l.name)
}
