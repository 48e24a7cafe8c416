package local

import (
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/model"
)

// Desired returns what the catalog is to hold of this node, now.
func (s *State) Desired() *Desired {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &Desired{Node: s.node}
	for _, id := range sortedIDs(s.services) {
		v := s.services[id]
		d.Services = append(d.Services, DesiredService{Service: v.def, Token: v.token})
	}
	for _, id := range sortedIDs(s.checks) {
		c := s.checks[id]
		token := c.token
		if v := s.services[c.cur.ServiceID]; v != nil && token.IsZero() {
			token = v.token
		}
		d.Checks = append(d.Checks, DesiredCheck{Check: c.cur, Token: token, Provisional: c.provisional})
	}
	return d
}

// isNode tells whether c writes the node's own record.
func (c Change) isNode() bool { return c.Register != nil && !c.Register.SkipNodeUpdate }

// String names what c is about, for logs.
func (c Change) String() string {
	var names []string
	switch r := c.Register; {
	case c.Deregister != nil && c.Deregister.ServiceID != "":
		return "removal of service " + string(c.Deregister.ServiceID)
	case c.Deregister != nil:
		return "removal of check " + string(c.Deregister.CheckID)
	case c.isNode():
		names = append(names, "node "+string(r.Node.Node))
	case r.Service != nil:
		names = append(names, "service "+string(r.Service.ID))
	}
	for _, k := range c.Register.Checks {
		names = append(names, "check "+string(k.CheckID))
	}
	return strings.Join(names, ", ")
}

// split makes one change of each check that c writes alone, so that one that is refused does not keep the others.
func (c Change) split() []Change {
	if c.Register == nil || c.Register.Service != nil || c.isNode() {
		return nil
	}
	var parts []Change
	for i, k := range c.Register.Checks {
		r := *c.Register
		r.Checks = []*model.Check{k}
		parts = append(parts, Change{Register: &r, Token: c.Token, subjects: c.subjects[i : i+1]})
	}
	return parts
}

// applied is what the catalog holds after c, when it held has before. It follows the catalog's own rules: a
// service goes with its checks.
func applied(has *model.NodeServices, c Change) *model.NodeServices {
	next := &model.NodeServices{}
	if has != nil {
		*next = *has
	}
	if d := c.Deregister; d != nil {
		next.Services = slices.DeleteFunc(slices.Clone(next.Services), func(s *model.Service) bool {
			return d.ServiceID != "" && s.ID == d.ServiceID
		})
		next.Checks = slices.DeleteFunc(slices.Clone(next.Checks), func(k *model.Check) bool {
			if d.ServiceID != "" {
				return k.ServiceID == d.ServiceID
			}
			return k.CheckID == d.CheckID
		})
		return next
	}
	r := c.Register
	if !r.SkipNodeUpdate || next.Node == nil {
		next.Node = &r.Node
	}
	if r.Service != nil {
		next.Services = put(next.Services, r.Service, func(s *model.Service) bool { return s.ID == r.Service.ID })
	}
	for _, k := range r.Checks {
		next.Checks = put(next.Checks, k, func(o *model.Check) bool { return o.CheckID == k.CheckID })
	}
	return next
}

// put returns a copy of l with v in place of the one that is the same record, or at the end.
func put[T any](l []T, v T, same func(T) bool) []T {
	out := slices.Clone(l)
	if at := slices.IndexFunc(out, same); at >= 0 {
		out[at] = v
		return out
	}
	return append(out, v)
}
