package local

import (
	"sync"

	"github.com/lictor-mesh/lictor/model"
)

// Lease takes one instance out of the healthy set while its holder drains. It is held in memory only: a
// restart of the agent clears it, as does the end of the connection it was taken on, by whoever owns that.
type Lease struct {
	state *State
	id    model.ServiceID
	drain *drain
	once  sync.Once
}

// drain is the check that all leases of one service share.
type drain struct {
	check   *check
	holders int
	// turn counts the times that the last holder went or the first came, so that an end that was begun does not
	// take away what somebody has taken meanwhile.
	turn   int
	synced chan struct{}
	told   bool
}

// Lease makes the instance critical, at once here and as fast as it goes in the catalog, until it is
// released. An unknown id is fault.NotFound.
func (s *State) Lease(id model.ServiceID) (*Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.services[id]
	if v == nil {
		return nil, unknownService(id)
	}
	d := s.drains[id]
	if d == nil {
		c := modeCheck(DrainPrefix+model.CheckID(id), v.def)
		c.cur.Name, c.cur.Type, c.token = "Draining", "drain", v.token
		c.cur.Output = "The proxy of this instance drains its connections and ends."
		d = &drain{check: c, synced: make(chan struct{})}
		s.drains[id] = d
		s.putCheck(c)
		s.settleAliases()
		s.bump()
	}
	d.holders++
	d.turn++
	return &Lease{state: s, id: id, drain: d}, nil
}

// Synced is closed when the catalog has the check, so that what is computed from it will not pick the
// instance any more.
func (l *Lease) Synced() <-chan struct{} { return l.drain.synced }

// Release gives the lease back. With the last one, the checks of the service are run at once, and the
// instance comes back only when each has a result from after the release: a process that ended after its drain
// is found dead before it could look healthy. A TTL check is waited for until its next update or its end.
func (l *Lease) Release() {
	l.once.Do(func() { l.state.release(l.id, l.drain) })
}

func (s *State) release(id model.ServiceID, d *drain) {
	s.mu.Lock()
	d.holders--
	if d.holders > 0 || s.drains[id] != d || s.ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	turn := d.turn
	// Counted under s.mu, so that Close waits for it.
	s.wg.Add(1)
	s.mu.Unlock()
	// Asked for before Release returns: what is reported from now on counts.
	fresh := map[*run]<-chan struct{}{}
	s.kickNew(id, fresh)
	go func() {
		defer s.wg.Done()
		if s.refresh(id, fresh) {
			s.endDrain(id, d, turn)
		}
	}()
}

func (s *State) endDrain(id model.ServiceID, d *drain, turn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drains[id] != d || d.turn != turn {
		return
	}
	delete(s.drains, id)
	s.dropCheck(d.check)
	s.settleAliases()
	s.bump()
}

// kickNew runs what the health of a service rests on and is not in fresh yet, and tells whether there was any.
func (s *State) kickNew(id model.ServiceID, fresh map[*run]<-chan struct{}) bool {
	kicked := false
	for _, r := range s.runsBehind(id) {
		if fresh[r] == nil {
			fresh[r] = r.Kick()
			kicked = true
		}
	}
	return kicked
}

// refresh waits for the results of what was kicked, and of what took its place meanwhile. It is false when the
// State closes first.
func (s *State) refresh(id model.ServiceID, fresh map[*run]<-chan struct{}) bool {
	for {
		for _, f := range fresh {
			select {
			case <-f:
			case <-s.ctx.Done():
				return false
			}
		}
		if !s.kickNew(id, fresh) {
			return true
		}
	}
}

// confirm notes what the catalog has: has returns the catalog's record of a check, nil when there is none.
func (s *State) confirm(has func(model.CheckID) *model.Check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.drains {
		if d.told {
			continue
		}
		if c := has(d.check.cur.CheckID); c != nil && c.Status == model.StatusCritical && c.ServiceID == d.check.cur.ServiceID {
			d.told = true
			close(d.synced)
		}
	}
}
