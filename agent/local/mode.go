package local

import (
	"strings"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
)

// DrainPrefix begins the ids of the checks by which a lease takes an instance out.
const DrainPrefix model.CheckID = "_drain:"

const (
	noServiceReason = "Maintenance mode is enabled for this service, but no reason was provided. This is a default message."
	noNodeReason    = "Maintenance mode is enabled for this node, but no reason was provided. This is a default message."
)

// isMode tells whether a check is one that the agent sets itself: maintenance or drain.
func isMode(id model.CheckID) bool { return isMaintenance(id) || isDrain(id) }

func isMaintenance(id model.CheckID) bool {
	return id == model.NodeMaintenance || strings.HasPrefix(string(id), string(model.ServiceMaintenancePrefix))
}

func isDrain(id model.CheckID) bool { return strings.HasPrefix(string(id), string(DrainPrefix)) }

// EnableServiceMaintenance makes a service critical until it is disabled, across restarts. An empty reason is
// a default text; enabling again changes nothing. An unknown id is fault.NotFound.
func (s *State) EnableServiceMaintenance(id model.ServiceID, reason string, token model.Secret) error {
	if reason == "" {
		reason = noServiceReason
	}
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	v := s.services[id]
	s.mu.Unlock()
	if v == nil {
		return unknownService(id)
	}
	c := modeCheck(model.ServiceMaintenancePrefix+model.CheckID(id), v.def)
	c.cur.Name, c.cur.Notes, c.cur.Type, c.token = "Service Maintenance Mode", reason, "maintenance", token
	return s.enter(c)
}

// DisableServiceMaintenance ends it. It is fine when there is none; an unknown service is fault.NotFound.
func (s *State) DisableServiceMaintenance(id model.ServiceID) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.Service(id) == nil {
		return unknownService(id)
	}
	return s.leave(model.ServiceMaintenancePrefix + model.CheckID(id))
}

// EnableNodeMaintenance makes all that is on this node critical until it is disabled, across restarts.
func (s *State) EnableNodeMaintenance(reason string, token model.Secret) error {
	if reason == "" {
		reason = noNodeReason
	}
	s.write.Lock()
	defer s.write.Unlock()
	c := modeCheck(model.NodeMaintenance, nil)
	c.cur.Name, c.cur.Notes, c.cur.Type, c.token = "Node Maintenance Mode", reason, "maintenance", token
	return s.enter(c)
}

// DisableNodeMaintenance ends it. It is fine when there is none.
func (s *State) DisableNodeMaintenance() error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.leave(model.NodeMaintenance)
}

// modeCheck makes a critical check that nothing runs.
func modeCheck(id model.CheckID, of *model.Service) *check {
	c := &check{
		def:    model.CheckDefinition{CheckID: id},
		cur:    &model.Check{CheckID: id, Status: model.StatusCritical},
		source: checks.FromAPI,
	}
	if of != nil {
		c.def.ServiceID, c.cur.ServiceID, c.cur.ServiceName, c.cur.ServiceTags = of.ID, of.ID, of.Service, of.Tags
	}
	return c
}

func (s *State) enter(c *check) error {
	s.mu.Lock()
	there := s.checks[c.cur.CheckID] != nil
	s.mu.Unlock()
	if there {
		return nil
	}
	if err := s.persistCheck(c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putCheck(c)
	s.settleAliases()
	s.bump()
	s.opts.Log.Info("maintenance mode enabled", "check", c.cur.CheckID, "reason", c.cur.Notes)
	return nil
}

func (s *State) leave(id model.CheckID) error {
	s.mu.Lock()
	there := s.checks[id] != nil
	s.mu.Unlock()
	if !there {
		return nil
	}
	return s.removeCheck(id)
}
