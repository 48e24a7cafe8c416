package local

import (
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/model"
)

// ServiceHealth is a service with all checks that bear on it, and what they come to.
type ServiceHealth struct {
	// Status is the worst of the checks, or maintenance.
	Status  model.Status
	Service *model.Service
	// Checks are the service's own, then its modes (maintenance, drain), then the node's.
	Checks []*model.Check
}

// Health returns the health of a service, nil when it is not registered.
func (s *State) Health(id model.ServiceID) *ServiceHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.services[id]
	if v == nil {
		return nil
	}
	return s.health(v)
}

// HealthByName returns the health of all services of a name by id, and the worst of it; empty when there are
// none.
func (s *State) HealthByName(name model.ServiceName) ([]*ServiceHealth, model.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*ServiceHealth
	worst := model.StatusPassing
	for _, id := range sortedIDs(s.services) {
		if v := s.services[id]; model.Fold(v.def.Service) == model.Fold(name) {
			h := s.health(v)
			list = append(list, h)
			if rank(h.Status) > rank(worst) {
				worst = h.Status
			}
		}
	}
	return list, worst
}

// rank orders what an HTTP status is decided by: maintenance is deliberate, and yields to a failure.
func rank(s model.Status) int {
	return slices.Index([]model.Status{model.StatusPassing, model.StatusWarning, model.StatusMaintenance, model.StatusCritical}, s)
}

func (s *State) health(v *service) *ServiceHealth {
	own := s.checksOf(v.def.ID)
	slices.SortStableFunc(own, func(a, b *model.Check) int {
		switch ma, mb := isMode(a.CheckID), isMode(b.CheckID); {
		case ma == mb:
			return strings.Compare(string(a.CheckID), string(b.CheckID))
		case ma:
			return 1
		default:
			return -1
		}
	})
	h := &ServiceHealth{Status: model.StatusPassing, Service: v.def, Checks: append(own, s.checksOf("")...)}
	for _, c := range h.Checks {
		if isMaintenance(c.CheckID) {
			h.Status = model.StatusMaintenance
			return h
		}
		h.Status = h.Status.Worse(c.Status)
	}
	return h
}
