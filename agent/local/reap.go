package local

import (
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// reapLoop deregisters services that were critical for too long.
func (s *State) reapLoop() {
	ticker := time.NewTicker(s.opts.ReapInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		for _, id := range s.overdue(time.Now()) {
			if err := s.RemoveService(id); err != nil {
				s.opts.Log.Error("cannot deregister a critical service", "service", id, "error", err)
				continue
			}
			s.opts.Log.Warn("deregistered a service that was critical for too long", "service", id)
		}
	}
}

// overdue returns the services that at t have a check which was critical for longer than its
// DeregisterCriticalServiceAfter, which is never less than the agent's minimum.
func (s *State) overdue(t time.Time) []model.ServiceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []model.ServiceID
	for _, c := range s.checks {
		after := c.def.DeregisterCriticalServiceAfter
		if after <= 0 || c.cur.ServiceID == "" || c.criticalSince.IsZero() || c.provisional {
			continue
		}
		if t.Sub(c.criticalSince) > max(after, s.opts.DeregisterCriticalMin) && !slices.Contains(ids, c.cur.ServiceID) {
			ids = append(ids, c.cur.ServiceID)
		}
	}
	slices.Sort(ids)
	return ids
}
