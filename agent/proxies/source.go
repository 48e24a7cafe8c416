// Package proxies puts together, for each proxy that runs on this host, all that its xDS resources are made of:
// the registration, the roots, the leaf, the intentions on its service and the endpoints of its upstreams. It is
// the xds.Source of an agent.
//
// Everything it reads is a view: what several proxies need is computed once, and endpoints are marshalled once for
// each change of an upstream, however many proxies dial it. A part that is late is waited for; a part that has gone
// keeps its last state, because a proxy that serves must not be told to forget.
package proxies

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/leaf"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

// Registry is where this host's registrations are.
type Registry interface {
	// Watch returns a service, nil when there is none, and a channel that is closed when it changes.
	Watch(id model.ServiceID) (*model.Service, <-chan struct{})
	// ServiceToken is the token that a service was registered with.
	ServiceToken(id model.ServiceID) model.Secret
}

// Config is what a Source is made of.
type Config struct {
	Datacenter string
	// DefaultAllow is what applies to connections that no intention is about.
	DefaultAllow bool
	Registry     Registry
	Views        view.Source
	Reads        *read.Set
	Leaves       *leaf.Keeper
	Logger       hclog.Logger
}

// Source is the xds.Source of an agent.
type Source struct{ config Config }

// New returns a source.
func New(c Config) *Source { return &Source{c} }

// Watch implements xds.Source for the proxies that are registered with this agent.
func (s *Source) Watch(_ context.Context, req model.Request, proxy model.InstanceKey) (xds.Subscription, error) {
	if proxy.Node != "" {
		return nil, fault.New(fault.BadRequest, "proxy %s of node %s is not this agent's", proxy.ID, proxy.Node).
			WithHint("connect the proxy to the agent of its own node, and leave node_name out of its metadata")
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{
		source: s, id: proxy.ID, token: req.Token, changed: make(chan struct{}), ended: make(chan struct{}),
		upstreams: map[model.ServiceName]*view.Watch{}, cancel: cancel,
		log: s.config.Logger.With("proxy", string(proxy.ID)),
	}
	if w.token.IsZero() {
		w.token = s.config.Registry.ServiceToken(proxy.ID)
	}
	if err := w.open(); err != nil {
		cancel()
		return nil, err
	}
	go w.run(ctx)
	return w, nil
}

// watch follows one proxy. Its goroutine owns all but what mu guards, and ends with Close.
type watch struct {
	source *Source
	id     model.ServiceID
	token  model.Secret
	log    hclog.Logger
	cancel context.CancelFunc
	ended  chan struct{}

	registration *model.Service
	roots        *view.Watch
	intentions   *view.Watch
	leaf         *leaf.Watch
	// destination is the service whose leaf and intentions are watched.
	destination model.ServiceName
	upstreams   map[model.ServiceName]*view.Watch

	mu       sync.Mutex
	snapshot *xds.Snapshot
	changed  chan struct{}
}

// Current implements xds.Subscription.
func (w *watch) Current() (*xds.Snapshot, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snapshot, w.changed, nil
}

// Close implements xds.Subscription.
func (w *watch) Close() {
	w.cancel()
	<-w.ended
}

func (w *watch) open() error {
	c := &w.source.config
	roots, err := c.Views.Watch(c.Reads.CARoots.Query(view.None{}))
	if err != nil {
		return err
	}
	w.roots = roots
	return nil
}

// run assembles a snapshot, publishes it, and waits for one of its parts to change.
func (w *watch) run(ctx context.Context) {
	defer close(w.ended)
	defer w.release()
	for {
		snapshot, parts := w.assemble()
		if snapshot != nil {
			w.publish(snapshot)
		}
		if !waitAny(ctx, parts) {
			return
		}
	}
}

// waitAny returns true when one of the channels is closed, false when ctx ends.
func waitAny(ctx context.Context, parts []<-chan struct{}) bool {
	cases := make([]reflect.SelectCase, 0, len(parts)+1)
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())})
	for _, p := range parts {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(p)})
	}
	chosen, _, _ := reflect.Select(cases)
	return chosen != 0
}

func (w *watch) publish(s *xds.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snapshot = s
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *watch) release() {
	w.roots.Close()
	w.leaveDestination()
	for _, u := range w.upstreams {
		u.Close()
	}
}

func (w *watch) leaveDestination() {
	if w.intentions != nil {
		w.intentions.Close()
		w.intentions = nil
	}
	if w.leaf != nil {
		w.leaf.Close()
		w.leaf = nil
	}
}

// assemble returns the snapshot as of now, nil while a part of it is missing, and the channels of its parts.
func (w *watch) assemble() (*xds.Snapshot, []<-chan struct{}) {
	service, changed := w.source.config.Registry.Watch(w.id)
	parts := []<-chan struct{}{changed}
	if err := w.follow(service); err != nil {
		w.log.Warn("the proxy's registration cannot be followed", "error", err)
		return nil, parts
	}
	if w.registration == nil {
		return nil, parts
	}
	c := &w.source.config
	s := &xds.Snapshot{Proxy: w.registration, Datacenter: c.Datacenter, DefaultAllow: c.DefaultAllow}
	roots, rootsChanged := w.roots.Current()
	intentions, intentionsChanged := w.intentions.Current()
	cert, leafChanged, _ := w.leaf.Current()
	parts = append(parts, rootsChanged, intentionsChanged, leafChanged)
	if roots == nil || intentions == nil || cert == nil {
		return nil, parts
	}
	s.Roots, s.Leaf, s.Intentions = c.Reads.CARoots.Value(roots), cert, *c.Reads.IntentionMatch.Value(intentions)
	if s.Roots.TrustDomain == "" {
		return nil, parts
	}
	complete := true
	for i := range w.registration.Proxy.Upstreams {
		u := xds.Upstream{As: &w.registration.Proxy.Upstreams[i]}
		if watch := w.upstreams[u.As.DestinationName]; watch != nil && w.local(u.As) {
			result, changed := watch.Current()
			parts = append(parts, changed)
			if complete = complete && result != nil; complete {
				u.Endpoints = w.endpoints(result, s.Target(&u))
			}
		}
		s.Upstreams = append(s.Upstreams, u)
	}
	if !complete {
		return nil, parts
	}
	return s, parts
}

// local tells whether an upstream's endpoints are in this datacenter's catalog.
func (w *watch) local(u *model.Upstream) bool {
	return (u.DestinationType == "" || u.DestinationType == model.UpstreamService) && u.DestinationPeer == "" &&
		(u.Datacenter == "" || u.Datacenter == w.source.config.Datacenter)
}

// endpointsKey is the memo of an upstream's endpoints on the view's result.
type endpointsKey struct{ target xds.Target }

// endpoints returns the endpoints in a result, marshalled once for all proxies.
func (w *watch) endpoints(r *view.Result, target xds.Target) *xds.Endpoints {
	e, _ := r.Memo(endpointsKey{target}, func() any {
		list := *w.source.config.Reads.Health.Value(r)
		instances := make([]*model.Instance, len(list))
		for i := range list {
			instances[i] = &list[i]
		}
		e, err := xds.NewEndpoints(target, instances)
		if err != nil {
			w.log.Error("endpoints of an upstream", "upstream", string(target.Service), "error", err)
			return (*xds.Endpoints)(nil)
		}
		return e
	}).(*xds.Endpoints)
	return e
}

// follow opens and closes the watches that a registration needs. A service that has gone, or is no proxy,
// leaves the last one in place.
func (w *watch) follow(service *model.Service) error {
	if service == nil || service == w.registration {
		return nil
	}
	if service.Kind != model.KindConnectProxy || service.Proxy == nil {
		return fault.New(fault.Invalid, "service %s is not a connect-proxy", service.ID).
			WithHint("register a sidecar with connect { sidecar_service {} }, or a service of kind connect-proxy")
	}
	c := &w.source.config
	if d := service.Proxy.DestinationServiceName; d != w.destination {
		w.leaveDestination()
		intentions, err := c.Views.Watch(c.Reads.IntentionMatch.Query(read.MatchArgs{Service: d}))
		if err != nil {
			return err
		}
		w.intentions = intentions
		if w.leaf, err = c.Leaves.Watch(d, w.token); err != nil {
			return err
		}
		w.destination = d
	}
	for i := range service.Proxy.Upstreams {
		u := &service.Proxy.Upstreams[i]
		if w.upstreams[u.DestinationName] != nil || !w.local(u) {
			continue
		}
		endpoints, err := c.Views.Watch(c.Reads.Health.Query(read.ServiceArgs{Service: u.DestinationName, Connect: true}))
		if err != nil {
			return err
		}
		w.upstreams[u.DestinationName] = endpoints
	}
	for name, endpoints := range w.upstreams {
		if !slices.ContainsFunc(service.Proxy.Upstreams, func(u model.Upstream) bool { return u.DestinationName == name }) {
			endpoints.Close()
			delete(w.upstreams, name)
		}
	}
	w.registration = service
	return nil
}
