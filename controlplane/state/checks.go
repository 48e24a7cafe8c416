package state

import (
	"reflect"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Check returns one check, or nil.
func (r reader) Check(n model.NodeName, id model.CheckID) *model.Check {
	return first[*model.Check](r, tableChecks, byID, checkKey(n, id))
}

// Checks returns all checks by node and id.
func (r reader) Checks() []*model.Check { return all[*model.Check](r, tableChecks, byID, "") }

// NodeChecks returns the checks of a node and of its services.
func (r reader) NodeChecks(n model.NodeName) []*model.Check {
	return all[*model.Check](r, tableChecks, byID, nodeKey(n))
}

// ServiceChecks returns the checks that belong to instances of a service.
func (r reader) ServiceChecks(name model.ServiceName) []*model.Check {
	return all[*model.Check](r, tableChecks, byName, nameKey(name))
}

// ChecksInState returns the checks with a status.
func (r reader) ChecksInState(s model.Status) []*model.Check {
	return all[*model.Check](r, tableChecks, byStatus, key(string(s)))
}

// putCheck inserts or updates a check of a node that exists. An identical record moves nothing.
func (t *Tx) putCheck(node *model.Node, check *model.Check) error {
	c := check.Clone()
	c.Node = node.Node
	c.RaftIndexes = model.RaftIndexes{CreateIndex: t.index, ModifyIndex: t.index}
	if c.ServiceID != "" {
		s := t.Service(c.Node, c.ServiceID)
		if s == nil {
			return fault.New(fault.Invalid, "Unknown service ID '%s' for check ID '%s'", c.ServiceID, c.CheckID).
				WithHint("register service %s on node %s first, or in the same request", c.ServiceID, c.Node)
		}
		c.ServiceName, c.ServiceTags = s.Service, s.Tags
	}
	old := t.Check(c.Node, c.CheckID)
	if old != nil {
		c.RaftIndexes.CreateIndex = old.RaftIndexes.CreateIndex
		if sameCheck(old, c) {
			return nil
		}
		if old.ServiceID != c.ServiceID {
			t.touchCheck(old)
		}
	}
	t.put(tableChecks, c)
	t.touchCheck(c)
	return nil
}

// touchCheck notes that a check, and with it the health of what it bears on, changes.
func (t *Tx) touchCheck(c *model.Check) {
	t.touch(TopicChecks, TopicNodeChecks(c.Node))
	if c.ServiceID == "" {
		for _, s := range t.nodeServices(c.Node) {
			t.touchHealth(s)
		}
		return
	}
	t.touch(TopicServiceChecks(c.ServiceName))
	if s := t.Service(c.Node, c.ServiceID); s != nil {
		t.touchHealth(s)
	}
}

func sameCheck(a, b *model.Check) bool {
	x, y := *a, *b
	x.RaftIndexes, y.RaftIndexes = model.RaftIndexes{}, model.RaftIndexes{}
	return reflect.DeepEqual(x, y)
}

// DeleteCheck removes a check, and tells whether there was one.
func (t *Tx) DeleteCheck(n model.NodeName, id model.CheckID) bool {
	c := t.Check(n, id)
	if c == nil {
		return false
	}
	t.remove(tableChecks, c)
	t.touchCheck(c)
	return true
}
