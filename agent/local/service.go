package local

import (
	"net/netip"
	"slices"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
)

// Registering says how a registration came about.
type Registering struct {
	Source checks.Source
	// Token is the token of the request; the definition's own, from files, goes first.
	Token model.Secret
	// ReplaceChecks drops the service's checks that the registration does not name.
	ReplaceChecks bool
}

// AddService registers a validated definition: the service, its checks, and its sidecar with its own checks.
// When it returns nil, all of it is persisted; with an error nothing changed. A check that was there before
// keeps its status and output. Errors: fault.BadRequest for what cannot be registered, fault.Invalid for what
// this agent does not allow, fault.Internal when it cannot be persisted.
func (s *State) AddService(def *model.ServiceDefinition, how Registering) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.addService(def, how)
}

func (s *State) addService(def *model.ServiceDefinition, how Registering) error {
	if err := s.open(); err != nil {
		return err
	}
	plans, err := s.planService(def, how)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := s.persistPlan(p); err != nil {
			return err
		}
	}
	s.mu.Lock()
	for _, p := range plans {
		for _, c := range p.drop {
			s.dropCheck(c)
		}
		for _, c := range p.checks {
			s.putCheck(c)
		}
		s.putService(p.service)
	}
	s.settleAliases()
	s.mu.Unlock()
	for _, p := range plans {
		p.start()
	}
	return nil
}

// servicePlan is a service ready to be entered: everything that can fail is behind it, but the disk.
type servicePlan struct {
	service *service
	checks  []*check
	// fresh are the checks that must be started, drop those that must go.
	fresh, drop []*check
}

func (p *servicePlan) start() {
	for _, c := range p.fresh {
		c.running.Start()
	}
}

// planService expands def. The write lock is held, so that no two sidecars get the same port.
func (s *State) planService(def *model.ServiceDefinition, how Registering) ([]*servicePlan, error) {
	side, err := definition.Sidecar(def, s.sidecarPort)
	if err != nil {
		return nil, err
	}
	main, err := s.planOne(def, how, "")
	if err != nil {
		return nil, err
	}
	if side == nil {
		return []*servicePlan{main}, nil
	}
	sidecar, err := s.planOne(side, how, def.Service.ID)
	if err != nil {
		return nil, err
	}
	return []*servicePlan{main, sidecar}, nil
}

func (s *State) planOne(def *model.ServiceDefinition, how Registering, parent model.ServiceID) (*servicePlan, error) {
	v := &service{def: withTaggedAddresses(&def.Service), source: how.Source, token: def.Token, parent: parent}
	if v.token.IsZero() {
		v.token = how.Token
	}
	p := &servicePlan{service: v}
	named := map[model.CheckID]bool{}
	for _, d := range definition.Checks(def) {
		named[d.CheckID] = true
		c, fresh, err := s.planCheck(d, v, how)
		if err != nil {
			return nil, err
		}
		// Checks of a service show only the durations that are set.
		if d.Interval == 0 {
			c.cur.Interval = ""
		}
		if d.Timeout == 0 {
			c.cur.Timeout = ""
		}
		p.checks = append(p.checks, c)
		if fresh {
			p.fresh = append(p.fresh, c)
		}
	}
	if how.ReplaceChecks {
		s.mu.Lock()
		for _, c := range s.byService[v.def.ID] {
			if !named[c.cur.CheckID] && !isMode(c.cur.CheckID) {
				p.drop = append(p.drop, c)
			}
		}
		s.mu.Unlock()
	}
	return p, nil
}

// withTaggedAddresses returns a copy of v with the addresses that an IP address implies.
func withTaggedAddresses(v *model.Service) *model.Service {
	c := v.Clone()
	c.Node, c.RaftIndexes, c.Owner = "", model.RaftIndexes{}, ""
	ip, err := netip.ParseAddr(c.Address)
	if err != nil {
		return c
	}
	family := "ipv4"
	if !ip.Unmap().Is4() {
		family = "ipv6"
	}
	if c.TaggedAddresses == nil {
		c.TaggedAddresses = map[string]model.ServiceAddress{}
	}
	for _, tag := range []string{"lan_" + family, "wan_" + family} {
		if _, ok := c.TaggedAddresses[tag]; !ok {
			c.TaggedAddresses[tag] = model.ServiceAddress{Address: c.Address, Port: c.Port}
		}
	}
	return c
}

// sidecarPort is a definition.PortAllocator: the port that the sidecar has already, else the lowest of the
// range that no service has.
func (s *State) sidecarPort(sidecar model.ServiceID) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.services[sidecar]; v != nil && s.isSidecarPort(v.def.Port) {
		return v.def.Port, true
	}
	taken := map[int]bool{}
	for _, v := range s.services {
		taken[v.def.Port] = true
	}
	for port := s.opts.SidecarMinPort; port <= s.opts.SidecarMaxPort; port++ {
		if !taken[port] {
			return port, true
		}
	}
	return 0, false
}

func (s *State) isSidecarPort(port int) bool {
	return port >= s.opts.SidecarMinPort && port <= s.opts.SidecarMaxPort
}

// RemoveService deregisters a service with its checks, and its sidecar if it came as its SidecarService.
// An unknown id is fault.NotFound.
func (s *State) RemoveService(id model.ServiceID) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.Service(id) == nil {
		return unknownService(id)
	}
	if err := s.removeService(id); err != nil {
		return err
	}
	sidecar := definition.SidecarID(id)
	s.mu.Lock()
	v := s.services[sidecar]
	s.mu.Unlock()
	if v != nil && v.parent == id {
		return s.removeService(sidecar)
	}
	return nil
}

// removeService removes one service: its file first, so that a crash in between leaves checks without a
// service, which the next start clears, and never a service without its checks.
func (s *State) removeService(id model.ServiceID) error {
	s.mu.Lock()
	list := slices.Clone(s.byService[id])
	s.mu.Unlock()
	if err := s.forgetService(id); err != nil {
		return err
	}
	for _, c := range list {
		if err := s.forgetCheck(c.cur.CheckID); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range slices.Clone(s.byService[id]) {
		s.dropCheck(c)
	}
	delete(s.services, id)
	delete(s.drains, id)
	s.bumpService(id)
	s.settleAliases()
	s.bump()
	return nil
}

// AdoptTags takes over the tags that others gave a service with EnableTagOverride in the catalog. It holds in
// memory only; a new registration brings its own tags again.
func (s *State) AdoptTags(id model.ServiceID, tags []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.services[id]
	if v == nil || !v.def.EnableTagOverride || slices.Equal(v.def.Tags, tags) {
		return
	}
	c := *v
	c.def = v.def.Clone()
	c.def.Tags = slices.Clone(tags)
	s.putService(&c)
}
