package local

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The range of sidecar ports, and the least time after which a critical service may be deregistered.
const (
	DefaultSidecarMinPort        = 21000
	DefaultSidecarMaxPort        = 21255
	DefaultDeregisterCriticalMin = time.Minute
	DefaultReapInterval          = 30 * time.Second
)

// Options configure a State.
type Options struct {
	Log hclog.Logger
	// Node is this host as the catalog shows it. Its ID owns what is registered.
	Node *model.Node
	// DataDir is the agent's data directory; empty keeps registrations in memory only.
	DataDir string
	// Checks runs the checks. Its owner closes it after the State.
	Checks *checks.Runner
	// SidecarMinPort and SidecarMaxPort bound the ports given to sidecars; 0 is the default.
	SidecarMinPort, SidecarMaxPort int
	// DiscardOutput drops the output of checks (discard_check_output).
	DiscardOutput bool
	// DeregisterCriticalMin and ReapInterval are check_deregister_interval_min and check_reap_interval;
	// 0 is the default.
	DeregisterCriticalMin, ReapInterval time.Duration
}

func (o *Options) setDefaults() {
	if o.SidecarMinPort == 0 {
		o.SidecarMinPort = DefaultSidecarMinPort
	}
	if o.SidecarMaxPort == 0 {
		o.SidecarMaxPort = DefaultSidecarMaxPort
	}
	if o.DeregisterCriticalMin <= 0 {
		o.DeregisterCriticalMin = DefaultDeregisterCriticalMin
	}
	if o.ReapInterval <= 0 {
		o.ReapInterval = DefaultReapInterval
	}
}

// State is what this host registered. Its methods are safe for concurrent use; what they return is immutable.
type State struct {
	opts  Options
	files *files // nil keeps nothing

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// write orders registrations, so that files and memory change in the same order. It is held across the
	// writing of files; readers and check results never take it.
	write sync.Mutex

	mu       sync.Mutex
	node     *model.Node
	services map[model.ServiceID]*service
	checks   map[model.CheckID]*check
	// byService indexes checks, those of the node under "". The lists are sorted by id.
	byService map[model.ServiceID][]*check
	drains    map[model.ServiceID]*drain
	// told are the results of TTL checks from before the start, until their checks are registered.
	told map[model.CheckID]*ttlRecord
	// orphans are persisted checks of services that no file defined yet.
	orphans []*checkRecord
	// changed is closed and replaced with every change; watches likewise for single services.
	changed chan struct{}
	watches map[model.ServiceID]chan struct{}
}

// service is one registered service.
type service struct {
	def    *model.Service
	source checks.Source
	token  model.Secret
	// parent is the service whose SidecarService this is, if any: it goes when its parent goes.
	parent model.ServiceID
}

// check is one registered check. def never changes; cur is replaced, never changed.
type check struct {
	def    model.CheckDefinition
	cur    *model.Check
	source checks.Source
	token  model.Secret
	// running is nil for checks that only others set: maintenance and drains.
	running *run
	// provisional is set until the first result of a check that was known before this agent started: its
	// status is a placeholder that the catalog must not hear of.
	provisional   bool
	criticalSince time.Time
}

// Open loads what was registered before, and starts its checks. Its error names the file that is damaged, and
// what to do with it.
func Open(o Options) (*State, error) {
	o.setDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &State{
		opts:      o,
		ctx:       ctx,
		cancel:    cancel,
		node:      o.Node.Clone(),
		services:  map[model.ServiceID]*service{},
		checks:    map[model.CheckID]*check{},
		byService: map[model.ServiceID][]*check{},
		drains:    map[model.ServiceID]*drain{},
		changed:   make(chan struct{}),
		watches:   map[model.ServiceID]chan struct{}{},
	}
	if o.DataDir != "" {
		var err error
		if s.files, err = openFiles(o.DataDir); err != nil {
			cancel()
			return nil, err
		}
		if err := s.load(); err != nil {
			s.Close()
			return nil, err
		}
	}
	s.wg.Go(s.reapLoop)
	return s, nil
}

// Close stops what the State runs itself, and its checks. What is registered stays persisted; nothing can be
// registered any more.
func (s *State) Close() {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	s.cancel()
	for _, c := range s.checks {
		if c.running != nil {
			c.running.Stop()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// open is an error once the State was closed. The write lock is held.
func (s *State) open() error {
	if s.ctx.Err() != nil {
		return fault.New(fault.Unavailable, "agent is shutting down")
	}
	return nil
}

// SetNode replaces the node's record (reload of node_meta); its name and id stay.
func (s *State) SetNode(n *model.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := n.Clone()
	c.ID, c.Node = s.node.ID, s.node.Node
	s.node = c
	s.bump()
}

// Services returns all services by id.
func (s *State) Services() map[model.ServiceID]*model.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[model.ServiceID]*model.Service, len(s.services))
	for id, v := range s.services {
		out[id] = v.def
	}
	return out
}

// Checks returns all checks by id.
func (s *State) Checks() map[model.CheckID]*model.Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[model.CheckID]*model.Check, len(s.checks))
	for id, c := range s.checks {
		out[id] = c.cur
	}
	return out
}

// Service returns one service, or nil.
func (s *State) Service(id model.ServiceID) *model.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.services[id]; v != nil {
		return v.def
	}
	return nil
}

// ServiceToken returns the token that a service was registered with, which may be zero.
func (s *State) ServiceToken(id model.ServiceID) model.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.services[id]; v != nil {
		return v.token
	}
	return model.Secret{}
}

// Changed returns a channel that is closed at the next change of anything. Take it before reading.
func (s *State) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Watch returns a service, nil when it is not registered, and a channel that is closed when its definition
// changes, it appears or goes. Changes of its checks do not count.
func (s *State) Watch(id model.ServiceID) (*model.Service, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.watches[id]
	if !ok {
		w = make(chan struct{})
		s.watches[id] = w
	}
	if v := s.services[id]; v != nil {
		return v.def, w
	}
	return nil, w
}

// bump tells the watchers that something changed. s.mu is held.
func (s *State) bump() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// bumpService tells the watchers of one service. s.mu is held.
func (s *State) bumpService(id model.ServiceID) {
	if w, ok := s.watches[id]; ok {
		close(w)
		delete(s.watches, id)
	}
}

// putService enters v. s.mu is held.
func (s *State) putService(v *service) {
	old := s.services[v.def.ID]
	s.services[v.def.ID] = v
	if old == nil || !sameService(old.def, v.def) {
		s.bumpService(v.def.ID)
	}
	if old != nil && old.def.Service != v.def.Service {
		// Checks name their service; those that stay follow it.
		for _, c := range s.byService[v.def.ID] {
			k := *c.cur
			k.ServiceName, k.ServiceTags = v.def.Service, v.def.Tags
			c.cur = &k
		}
	}
	s.bump()
}

// putCheck enters c in place of the check of its id, which is stopped unless c goes on running it. s.mu is held.
func (s *State) putCheck(c *check) {
	id := c.cur.CheckID
	if old := s.checks[id]; old != nil {
		s.unindex(old)
		if old.running != nil && old.running != c.running {
			old.running.Stop()
		}
	}
	if c.cur.Status == model.StatusCritical && c.criticalSince.IsZero() {
		c.criticalSince = time.Now()
	}
	s.checks[id] = c
	list := s.byService[c.cur.ServiceID]
	at, _ := slices.BinarySearchFunc(list, id, func(c *check, id model.CheckID) int {
		return strings.Compare(string(c.cur.CheckID), string(id))
	})
	s.byService[c.cur.ServiceID] = slices.Insert(slices.Clip(list), at, c)
}

// dropCheck removes a check. s.mu is held.
func (s *State) dropCheck(c *check) {
	if s.checks[c.cur.CheckID] != c {
		return
	}
	delete(s.checks, c.cur.CheckID)
	s.unindex(c)
	if c.running != nil {
		c.running.Stop()
	}
}

func (s *State) unindex(c *check) {
	list := slices.DeleteFunc(slices.Clone(s.byService[c.cur.ServiceID]), func(o *check) bool { return o == c })
	if len(list) == 0 {
		delete(s.byService, c.cur.ServiceID)
		return
	}
	s.byService[c.cur.ServiceID] = list
}

// checksOf returns the checks of a service by id, those of the node for "". s.mu is held.
func (s *State) checksOf(id model.ServiceID) []*model.Check {
	list := s.byService[id]
	out := make([]*model.Check, len(list))
	for i, c := range list {
		out[i] = c.cur
	}
	return out
}

// sortedIDs returns the keys of m in order, so that what is done for each is done in the same order always.
func sortedIDs[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func unknownService(id model.ServiceID) error {
	return fault.New(fault.NotFound, "Unknown service ID %q. Ensure that the service ID is passed, not the service name.", string(id))
}

func unknownCheck(id model.CheckID) error {
	return fault.New(fault.NotFound, "Unknown check ID %q. Ensure that the check ID is passed, not the check name.", string(id))
}

func notPersisted(what string, err error) error {
	return fault.New(fault.Internal, "failed to persist %s: %v", what, err).
		WithHint("%s", fmt.Sprintf("nothing was registered; make the data directory writable: %v", err))
}
