package local

import (
	"fmt"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Reloaded counts what ReplaceConfig did.
type Reloaded struct{ Added, Kept, Removed int }

// String says it in words, for the answer to a reload.
func (r Reloaded) String() string {
	return fmt.Sprintf("%d services and checks added, %d kept, %d removed", r.Added, r.Kept, r.Removed)
}

// ReplaceConfig makes services and checks all that config files define. Registrations of the API stay, but
// for those whose id a file defines: the file goes first. Checks that stay keep status and output. When one
// of them cannot be registered, the error names it and nothing changed.
func (s *State) ReplaceConfig(services []*model.ServiceDefinition, list []*model.CheckDefinition) (Reloaded, error) {
	s.write.Lock()
	defer s.write.Unlock()
	how := Registering{Source: checks.FromConfig}
	want, wantChecks, err := s.vet(services, list, how)
	if err != nil {
		return Reloaded{}, err
	}
	var done Reloaded
	for _, def := range services {
		s.count(&done, s.Service(def.Service.ID) != nil)
		if err := s.addService(def, how); err != nil {
			return done, err
		}
	}
	if err := s.adopt(); err != nil {
		return done, err
	}
	for _, d := range list {
		s.count(&done, s.Checks()[d.CheckID] != nil)
		if err := s.addCheck(d, how); err != nil {
			return done, err
		}
	}
	if err := s.removeOthers(want, wantChecks, &done); err != nil {
		return done, err
	}
	s.forgetTold()
	return done, nil
}

func (s *State) count(done *Reloaded, there bool) {
	if there {
		done.Kept++
	} else {
		done.Added++
	}
}

// vet tells whether all can be registered, without doing it, and which ids it comes to.
func (s *State) vet(services []*model.ServiceDefinition, list []*model.CheckDefinition, how Registering) (map[model.ServiceID]bool, map[model.CheckID]bool, error) {
	ids, checkIDs := map[model.ServiceID]bool{}, map[model.CheckID]bool{}
	vetRun := func(d model.CheckDefinition) error {
		if checkIDs[d.CheckID] {
			return fault.New(fault.BadRequest, "check ID %q is defined twice", string(d.CheckID)).
				WithHint("give each check in the config files its own id")
		}
		checkIDs[d.CheckID] = true
		return s.opts.Checks.Vet(checks.Spec{Definition: d, Source: how.Source})
	}
	for _, def := range services {
		// The port does not matter here; planning picks it.
		side, err := definition.Sidecar(def, func(model.ServiceID) (int, bool) { return s.opts.SidecarMinPort, true })
		if err != nil {
			return nil, nil, fmt.Errorf("service %q: %w", def.Service.ID, err)
		}
		for _, one := range []*model.ServiceDefinition{def, side} {
			if one == nil {
				continue
			}
			id := one.Service.ID
			if ids[id] {
				return nil, nil, fault.New(fault.BadRequest, "service ID %q is defined twice", string(id)).
					WithHint("give each service in the config files its own id")
			}
			ids[id] = true
			for _, d := range definition.Checks(one) {
				if err := vetRun(d); err != nil {
					return nil, nil, fmt.Errorf("service %q: check %q: %w", id, d.CheckID, err)
				}
			}
		}
	}
	for _, d := range list {
		c := d.Clone()
		if c.CheckID == "" {
			c.CheckID = model.CheckID(c.Name)
		}
		if c.ServiceID != "" && !ids[c.ServiceID] && s.source(c.ServiceID) != checks.FromAPI {
			return nil, nil, fault.New(fault.BadRequest, "check %q: ServiceID %q does not exist", string(c.CheckID), string(c.ServiceID)).
				WithHint("define service %q in a file too", string(c.ServiceID))
		}
		if err := vetRun(c); err != nil {
			return nil, nil, fmt.Errorf("check %q: %w", c.CheckID, err)
		}
	}
	return ids, checkIDs, nil
}

// source is who registered a service; FromConfig for one that is not there.
func (s *State) source(id model.ServiceID) checks.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.services[id]; v != nil {
		return v.source
	}
	return checks.FromConfig
}

// removeOthers removes what files defined before and do not any more.
func (s *State) removeOthers(want map[model.ServiceID]bool, wantChecks map[model.CheckID]bool, done *Reloaded) error {
	s.mu.Lock()
	var gone []model.ServiceID
	for _, id := range sortedIDs(s.services) {
		if s.services[id].source == checks.FromConfig && !want[id] {
			gone = append(gone, id)
		}
	}
	var goneChecks []model.CheckID
	for _, id := range sortedIDs(s.checks) {
		c := s.checks[id]
		if c.source == checks.FromConfig && !wantChecks[id] && (c.cur.ServiceID == "" || want[c.cur.ServiceID] || s.services[c.cur.ServiceID].source == checks.FromAPI) {
			goneChecks = append(goneChecks, id)
		}
	}
	s.mu.Unlock()
	for _, id := range gone {
		if err := s.removeService(id); err != nil {
			return err
		}
		done.Removed++
	}
	for _, id := range goneChecks {
		if err := s.removeCheck(id); err != nil {
			return err
		}
		done.Removed++
	}
	return nil
}

// forgetTold drops what TTL checks were told of which nothing defines the check any more.
func (s *State) forgetTold() {
	for id := range s.told {
		if s.files != nil {
			_ = s.files.remove(ttlDir, string(id))
		}
		delete(s.told, id)
	}
}
