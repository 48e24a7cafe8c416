package local

import (
	"reflect"
	"time"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// AddCheck registers a validated check of the node, or of a service when it names one. When it returns nil,
// the check is persisted. One that was there before keeps its status and output. Errors: fault.NotFound for
// an unknown service, fault.BadRequest or fault.Invalid for what cannot or may not run here.
func (s *State) AddCheck(def *model.CheckDefinition, how Registering) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.addCheck(def, how)
}

func (s *State) addCheck(def *model.CheckDefinition, how Registering) error {
	if err := s.open(); err != nil {
		return err
	}
	d := def.Clone()
	if d.CheckID == "" {
		d.CheckID = model.CheckID(d.Name)
	}
	v, err := s.serviceOf(&d)
	if err != nil {
		return err
	}
	c, fresh, err := s.planCheck(d, v, how)
	if err != nil {
		return err
	}
	if err := s.persistCheck(c); err != nil {
		return err
	}
	s.mu.Lock()
	s.putCheck(c)
	s.settleAliases()
	s.bump()
	s.mu.Unlock()
	if fresh {
		c.running.Start()
	}
	return nil
}

// serviceOf returns the service that d is a check of, nil for the node.
func (s *State) serviceOf(d *model.CheckDefinition) (*service, error) {
	if d.ServiceID == "" {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.services[d.ServiceID]
	if v == nil {
		return nil, fault.New(fault.NotFound, "ServiceID %q does not exist", string(d.ServiceID)).
			WithHint("register service %q with this agent first", string(d.ServiceID))
	}
	return v, nil
}

// planCheck makes a check ready to be entered: its predecessor's status is taken over, and its run too when
// the definition is the same. fresh tells that it must be started.
func (s *State) planCheck(d model.CheckDefinition, v *service, how Registering) (c *check, fresh bool, err error) {
	if isMode(d.CheckID) {
		return nil, false, fault.New(fault.BadRequest, "Invalid check: CheckID %q is reserved", string(d.CheckID)).
			WithHint("choose another CheckID; names that begin with _ and a mode of the agent are its own")
	}
	c = newCheck(d, v, how)
	s.mu.Lock()
	old := s.checks[d.CheckID]
	s.mu.Unlock()
	if old != nil {
		c.cur.Status, c.cur.Output = old.cur.Status, old.cur.Output
		c.criticalSince, c.provisional = old.criticalSince, old.provisional
	} else {
		// What a file defines was most likely known to the catalog before this start.
		c.provisional = how.Source == checks.FromConfig && d.TTL == 0
	}
	if old != nil && sameRun(&old.def, &d) && old.running != nil {
		c.running = old.running
		return c, false, nil
	}
	var expires time.Time
	if told, ok := s.toldBefore(d.CheckID); ok && old == nil && d.TTL > 0 {
		c.cur.Status, c.cur.Output, expires = told.Status, told.Output, told.Expires
	}
	c.running, err = s.prepare(c, expires)
	return c, true, err
}

// newCheck makes the record of a definition.
func newCheck(d model.CheckDefinition, v *service, how Registering) *check {
	c := &check{def: d, source: how.Source, token: d.Token}
	if c.token.IsZero() && v != nil && how.Source == checks.FromConfig {
		c.token = v.token
	}
	if c.token.IsZero() {
		c.token = how.Token
	}
	c.def.Token = model.Secret{}
	c.cur = &model.Check{
		CheckID:   d.CheckID,
		Name:      d.Name,
		Status:    d.Status,
		Notes:     d.Notes,
		ServiceID: d.ServiceID,
		Type:      d.Type(),
		Interval:  d.Interval.String(),
		Timeout:   d.Timeout.String(),
	}
	if c.cur.Status == "" {
		c.cur.Status = model.StatusCritical
	}
	if v != nil {
		c.cur.ServiceName, c.cur.ServiceTags = v.def.Service, v.def.Tags
	}
	return c
}

// run is one run of a check. What a run reports after another took its place is dropped.
type run struct{ *checks.Running }

func (s *State) prepare(c *check, expires time.Time) (*run, error) {
	r := new(run)
	id := c.def.CheckID
	running, err := s.opts.Checks.Prepare(checks.Spec{
		Definition: c.def,
		Source:     c.source,
		Status:     c.cur.Status,
		Expires:    expires,
		// Until its first run nothing is known of a check that was known before this start.
		AtOnce: c.provisional,
		Report: func(res checks.Result) { s.report(id, r, res) },
	})
	r.Running = running
	return r, err
}

// sameRun tells whether two definitions run the same: all that is not only shown is equal.
func sameRun(a, b *model.CheckDefinition) bool {
	x, y := a.Clone(), b.Clone()
	for _, d := range []*model.CheckDefinition{&x, &y} {
		d.Name, d.Notes, d.Status, d.ServiceID, d.Token = "", "", "", "", model.Secret{}
		d.DeregisterCriticalServiceAfter = 0
	}
	return reflect.DeepEqual(x, y)
}
