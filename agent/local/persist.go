package local

import (
	"time"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
)

// persistPlan writes a service with its checks: the checks first, so that after a crash no service is there
// without them. What a config file defines is not persisted, and takes the place of what was.
func (s *State) persistPlan(p *servicePlan) error {
	for _, c := range p.checks {
		if err := s.persistCheck(c); err != nil {
			return err
		}
	}
	if err := s.persistService(p.service); err != nil {
		return err
	}
	for _, c := range p.drop {
		if err := s.forgetCheck(c.cur.CheckID); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) persistService(v *service) error {
	if s.files == nil {
		return nil
	}
	id := string(v.def.ID)
	if v.source == checks.FromConfig {
		return s.forgetService(v.def.ID)
	}
	r := serviceRecord{Service: *v.def, Token: v.token.Reveal(), Parent: v.parent}
	b, err := r.MarshalMsg(nil)
	if err == nil {
		err = s.files.put(servicesDir, id, b)
	}
	if err != nil {
		return notPersisted("service "+id, err)
	}
	return nil
}

func (s *State) persistCheck(c *check) error {
	if s.files == nil {
		return nil
	}
	id := string(c.cur.CheckID)
	if c.source == checks.FromConfig {
		if err := s.files.remove(checksDir, id); err != nil {
			return notPersisted("check "+id, err)
		}
		return nil
	}
	r := checkRecord{Definition: c.def, Check: *c.cur, Token: c.token.Reveal()}
	r.Check.Output = ""
	if !isMode(c.cur.CheckID) {
		r.Check.Status = c.def.Status
	}
	b, err := r.MarshalMsg(nil)
	if err == nil {
		err = s.files.put(checksDir, id, b)
	}
	if err != nil {
		return notPersisted("check "+id, err)
	}
	return nil
}

func (s *State) forgetService(id model.ServiceID) error {
	if s.files == nil {
		return nil
	}
	if err := s.files.remove(servicesDir, string(id)); err != nil {
		return notPersisted("the removal of service "+string(id), err)
	}
	return nil
}

func (s *State) forgetCheck(id model.CheckID) error {
	if s.files == nil {
		return nil
	}
	err := s.files.remove(checksDir, string(id))
	if err == nil {
		err = s.files.remove(ttlDir, string(id))
	}
	if err != nil {
		return notPersisted("the removal of check "+string(id), err)
	}
	return nil
}

// persistTold writes what a TTL check was told. The write lock keeps it from outliving its check.
func (s *State) persistTold(c *check, status model.Status, output string) error {
	if s.files == nil {
		return nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	id := c.cur.CheckID
	c = s.checks[id]
	s.mu.Unlock()
	if c == nil || c.def.TTL <= 0 {
		return nil
	}
	r := ttlRecord{CheckID: id, Status: status, Output: output, Expires: time.Now().Add(c.def.TTL)}
	b, err := r.MarshalMsg(nil)
	if err == nil {
		err = s.files.put(ttlDir, string(id), b)
	}
	if err != nil {
		return notPersisted("the state of check "+string(id), err)
	}
	return nil
}

// load enters what is persisted.
func (s *State) load() error {
	s.told = map[model.CheckID]*ttlRecord{}
	if err := s.files.all(ttlDir, func(b []byte) error {
		r := new(ttlRecord)
		if _, err := r.UnmarshalMsg(b); err != nil {
			return err
		}
		s.told[r.CheckID] = r
		return nil
	}); err != nil {
		return err
	}
	if err := s.files.all(servicesDir, func(b []byte) error {
		var r serviceRecord
		if _, err := r.UnmarshalMsg(b); err != nil {
			return err
		}
		v := &service{def: &r.Service, source: checks.FromAPI, parent: r.Parent}
		if r.Token != "" {
			v.token = model.NewSecret(r.Token)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.putService(v)
		return nil
	}); err != nil {
		return err
	}
	var list []*checkRecord
	if err := s.files.all(checksDir, func(b []byte) error {
		r := new(checkRecord)
		_, err := r.UnmarshalMsg(b)
		list = append(list, r)
		return err
	}); err != nil {
		return err
	}
	for _, r := range list {
		if err := s.restoreCheck(r); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleAliases()
	return nil
}

// restoreCheck enters a persisted check. One that this agent may no longer run, say a script, stays critical
// and says why: it must not make its service look healthy by its absence.
func (s *State) restoreCheck(r *checkRecord) error {
	id := r.Check.CheckID
	if r.Check.ServiceID != "" && s.services[r.Check.ServiceID] == nil {
		// A config file may define the service.
		s.orphans = append(s.orphans, r)
		return nil
	}
	c := &check{def: r.Definition, cur: &r.Check, source: checks.FromAPI}
	if r.Token != "" {
		c.token = model.NewSecret(r.Token)
	}
	if r.Check.Status == "" {
		r.Check.Status = model.StatusCritical
	}
	if isMode(id) {
		s.enterRestored(c)
		return nil
	}
	c.provisional = c.def.TTL == 0
	var expires time.Time
	if told, ok := s.toldBefore(id); ok && c.def.TTL > 0 {
		r.Check.Status, r.Check.Output, expires = told.Status, told.Output, told.Expires
	}
	running, err := s.prepare(c, expires)
	if err != nil {
		s.opts.Log.Error("a registered check cannot run on this agent any more", "check", id, "error", err)
		c.provisional = false
		r.Check.Status, r.Check.Output = model.StatusCritical, err.Error()
		s.enterRestored(c)
		return nil
	}
	c.running = running
	s.enterRestored(c)
	running.Start()
	return nil
}

func (s *State) enterRestored(c *check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putCheck(c)
}

// adopt enters the persisted checks of services that config files define, and drops those whose service is
// gone: its registration or removal was interrupted before it was acknowledged, or its file says so.
func (s *State) adopt() error {
	orphans := s.orphans
	s.orphans = nil
	for _, r := range orphans {
		id := r.Check.CheckID
		if s.Service(r.Check.ServiceID) == nil {
			s.opts.Log.Warn("dropping a check whose service is not registered", "check", id, "service", r.Check.ServiceID)
			if err := s.forgetCheck(id); err != nil {
				return err
			}
			continue
		}
		if err := s.restoreCheck(r); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleAliases()
	s.bump()
	return nil
}

// toldBefore returns what a TTL check was told before the start, once.
func (s *State) toldBefore(id model.CheckID) (*ttlRecord, bool) {
	r, ok := s.told[id]
	delete(s.told, id)
	return r, ok
}
