package local

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// consulService is the service by which the leader lists the servers; no agent touches it.
const consulService model.ServiceID = "consul"

// virtualTag begins the tagged addresses that the catalog itself gives to services of the mesh.
const virtualTag = "consul-virtual"

// Desired is what an agent wants the catalog to hold of its node.
type Desired struct {
	// Node has the id that owns all records.
	Node     *model.Node
	Services []DesiredService
	Checks   []DesiredCheck
}

// DesiredService is a service with the token that registers it, zero for the agent's own.
type DesiredService struct {
	Service *model.Service
	Token   model.Secret
}

// DesiredCheck is a check with the token that registers it, zero for the agent's own.
type DesiredCheck struct {
	Check *model.Check
	Token model.Secret
	// Provisional checks have no result yet: what the catalog knows of their status stands.
	Provisional bool
	// OutputDue is when a change of nothing but the output may be written.
	OutputDue time.Time
}

// Change is one write to the catalog: either a registration or a deregistration.
type Change struct {
	Register   *model.Registration
	Deregister *model.Deregistration
	// Token is the token to write with, zero for the agent's own.
	Token model.Secret
	// subjects are the records of Desired that c writes, or what it removes: while they are the same, c is the
	// same write again.
	subjects []any
}

// Plan is what Diff found.
type Plan struct {
	// Changes make the catalog equal to what is desired, to be done in this order.
	Changes []Change
	// Tags are the tags that others gave to services with EnableTagOverride.
	Tags map[model.ServiceID][]string
	// Due is when the first of the outputs is due that were held back; zero when none was.
	Due time.Time
}

// Diff returns the least that makes remote, what the catalog holds of the node (nil or without a Node when it
// does not know it), equal to want at the time now.
//
// It removes a record only when this agent owns it: others' registrations on the node, the servers' service
// and serfHealth are never touched. Services go out with their checks in one write, and before anything is
// removed. While a check of a service is provisional, no other check of that service is removed.
func Diff(want *Desired, remote *model.NodeServices, now time.Time) Plan {
	d := differ{want: want, now: now, services: map[model.ServiceID]*model.Service{}, checks: map[model.CheckID]*model.Check{}}
	if remote != nil && remote.Node != nil {
		d.node = remote.Node
		for _, s := range remote.Services {
			d.services[s.ID] = s
		}
		for _, c := range remote.Checks {
			d.checks[c.CheckID] = c
		}
	}
	d.plan.Tags = map[model.ServiceID][]string{}
	d.registerNode()
	checks := d.changedChecks()
	d.registerServices(checks)
	d.registerChecks(checks)
	d.removeChecks()
	d.removeServices()
	return d.plan
}

type differ struct {
	want     *Desired
	now      time.Time
	node     *model.Node
	services map[model.ServiceID]*model.Service
	checks   map[model.CheckID]*model.Check
	plan     Plan
}

// owns tells whether this agent keeps a record of its node. A node's name may have passed to a new agent: what
// the one before it owned is then its own.
func (d *differ) owns(owner model.NodeID) bool {
	return owner != "" && (owner == d.want.Node.ID || d.node.ID == d.want.Node.ID)
}

func (d *differ) registration(token model.Secret) Change {
	return Change{Token: token, Register: &model.Registration{
		Datacenter: d.want.Node.Datacenter, Node: *d.want.Node, SkipNodeUpdate: true, Owner: d.want.Node.ID}}
}

func (d *differ) registerNode() {
	if d.node != nil && sameNode(d.want.Node, d.node) {
		return
	}
	c := d.registration(model.Secret{})
	c.Register.SkipNodeUpdate = false
	d.plan.Changes = append(d.plan.Changes, c)
}

// changedCheck is a check as it is to be written; check is nil once a change writes it.
type changedCheck struct {
	check   *model.Check
	token   model.Secret
	subject *model.Check
}

// changedChecks returns the checks that must be written, as they must be, in the order of want.
func (d *differ) changedChecks() []changedCheck {
	var out []changedCheck
	for _, w := range d.want.Checks {
		c := *w.Check
		c.Node, c.Owner = d.want.Node.Node, d.want.Node.ID
		has := d.checks[c.CheckID]
		if has != nil && w.Provisional {
			c.Status, c.Output = has.Status, has.Output
		}
		if has != nil && d.node != nil {
			if sameCheck(&c, has) {
				continue
			}
			quiet := c
			quiet.Output = has.Output
			if sameCheck(&quiet, has) && d.now.Before(w.OutputDue) {
				if d.plan.Due.IsZero() || w.OutputDue.Before(d.plan.Due) {
					d.plan.Due = w.OutputDue
				}
				continue
			}
		}
		out = append(out, changedCheck{check: &c, token: w.Token, subject: w.Check})
	}
	return out
}

// registerServices writes the services that differ, each with those of its checks that differ.
func (d *differ) registerServices(checks []changedCheck) {
	for _, w := range d.want.Services {
		s := *w.Service
		s.Node, s.Owner = d.want.Node.Node, d.want.Node.ID
		has := d.services[s.ID]
		if has != nil && s.EnableTagOverride {
			if !slices.Equal(s.Tags, has.Tags) {
				d.plan.Tags[s.ID] = has.Tags
			}
			s.Tags = has.Tags
		}
		if has != nil && sameInstance(&s, has) {
			continue
		}
		c := d.registration(w.Token)
		c.Register.Service, c.subjects = &s, []any{w.Service}
		for i := range checks {
			if k := &checks[i]; k.check != nil && k.check.ServiceID == s.ID && k.token == w.Token {
				c.Register.Checks = append(c.Register.Checks, k.check)
				k.check = nil
			}
		}
		d.plan.Changes = append(d.plan.Changes, c)
	}
}

// registerChecks writes the remaining checks, those of the same token together.
func (d *differ) registerChecks(checks []changedCheck) {
	first := len(d.plan.Changes)
	for _, k := range checks {
		if k.check == nil {
			continue
		}
		at := slices.IndexFunc(d.plan.Changes[first:], func(c Change) bool { return c.Token == k.token })
		if at < 0 {
			at = len(d.plan.Changes) - first
			d.plan.Changes = append(d.plan.Changes, d.registration(k.token))
		}
		c := &d.plan.Changes[first+at]
		c.Register.Checks, c.subjects = append(c.Register.Checks, k.check), append(c.subjects, k.subject)
	}
}

func (d *differ) removeChecks() {
	want, provisional := map[model.CheckID]bool{}, map[model.ServiceID]bool{}
	for _, w := range d.want.Checks {
		want[w.Check.CheckID] = true
		provisional[w.Check.ServiceID] = provisional[w.Check.ServiceID] || w.Provisional
	}
	services := map[model.ServiceID]bool{"": true}
	for _, w := range d.want.Services {
		services[w.Service.ID] = true
	}
	for _, id := range sortedIDs(d.checks) {
		c := d.checks[id]
		if want[id] || id == model.SerfHealth || !d.owns(c.Owner) {
			continue
		}
		if provisional[c.ServiceID] {
			continue
		}
		if s := d.services[c.ServiceID]; !services[c.ServiceID] && s != nil && d.removable(s) {
			continue // goes with its service
		}
		d.remove(model.Deregistration{CheckID: id})
	}
}

func (d *differ) removable(s *model.Service) bool { return s.ID != consulService && d.owns(s.Owner) }

// removeServices removes proxies before what they lead to.
func (d *differ) removeServices() {
	want := map[model.ServiceID]bool{}
	for _, w := range d.want.Services {
		want[w.Service.ID] = true
	}
	var gone []*model.Service
	for _, id := range sortedIDs(d.services) {
		if s := d.services[id]; !want[id] && d.removable(s) {
			gone = append(gone, s)
		}
	}
	slices.SortStableFunc(gone, func(a, b *model.Service) int {
		return strings.Compare(string(b.Kind), string(a.Kind))
	})
	for _, s := range gone {
		d.remove(model.Deregistration{ServiceID: s.ID})
	}
}

func (d *differ) remove(r model.Deregistration) {
	r.Datacenter, r.Node = d.want.Node.Datacenter, d.want.Node.Node
	d.plan.Changes = append(d.plan.Changes, Change{Deregister: &r, subjects: []any{r}})
}

func sameNode(a, b *model.Node) bool {
	return a.ID == b.ID && a.Node == b.Node && a.Address == b.Address && equalMaps(a.TaggedAddresses, b.TaggedAddresses) &&
		equalMaps(a.Meta, b.Meta) && reflect.DeepEqual(a.Locality, b.Locality)
}

// sameCheck compares what the agent says of a check. Name and tags of its service are the catalog's to fill in.
func sameCheck(a, b *model.Check) bool {
	x, y := *a, *b
	for _, c := range []*model.Check{&x, &y} {
		c.Node, c.ServiceName, c.ServiceTags, c.RaftIndexes = "", "", nil, model.RaftIndexes{}
		c.Definition = model.CheckDefinition{}
	}
	return reflect.DeepEqual(x, y)
}
