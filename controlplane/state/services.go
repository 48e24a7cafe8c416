package state

import (
	"reflect"
	"slices"

	"github.com/lictor-mesh/lictor/model"
)

// Service returns one instance, or nil.
func (r reader) Service(n model.NodeName, id model.ServiceID) *model.Service {
	return first[*model.Service](r, tableServices, byID, serviceKey(n, id))
}

// Services returns every instance of every service, by node and id.
func (r reader) Services() []*model.Service { return all[*model.Service](r, tableServices, byID, "") }

// ServicesNamed returns the instances of a service, by node and id.
func (r reader) ServicesNamed(name model.ServiceName) []*model.Service {
	return all[*model.Service](r, tableServices, byName, nameKey(name))
}

// MeshServices returns the instances through which the mesh reaches a service: its proxies, and itself
// where it is native.
func (r reader) MeshServices(name model.ServiceName) []*model.Service {
	return all[*model.Service](r, tableServices, byMesh, nameKey(name))
}

func (r reader) nodeServices(n model.NodeName) []*model.Service {
	return all[*model.Service](r, tableServices, byID, nodeKey(n))
}

// NodeServices returns all that is registered of a node, or nil for an unknown one.
func (r reader) NodeServices(name model.NodeName) *model.NodeServices {
	n := r.Node(name)
	if n == nil {
		return nil
	}
	return &model.NodeServices{Node: n, Services: r.nodeServices(n.Node), Checks: r.NodeChecks(n.Node)}
}

// Instances joins services with their nodes and checks. Services of unknown nodes do not exist.
func (r reader) Instances(services []*model.Service) []model.Instance {
	list := make([]model.Instance, 0, len(services))
	for _, s := range services {
		n := r.Node(s.Node)
		if n == nil {
			continue
		}
		checks := all[*model.Check](r, tableChecks, byService, serviceKey(s.Node, ""))
		checks = append(checks, all[*model.Check](r, tableChecks, byService, serviceKey(s.Node, s.ID))...)
		list = append(list, model.Instance{Node: n, Service: s, Checks: checks})
	}
	return list
}

// putService inserts or updates an instance of a node that exists. An identical record moves nothing.
func (t *Tx) putService(node *model.Node, s *model.Service) {
	c := s.Clone()
	c.Node = node.Node
	c.RaftIndexes = model.RaftIndexes{CreateIndex: t.index, ModifyIndex: t.index}
	if old := t.Service(c.Node, c.ID); old != nil {
		c.RaftIndexes.CreateIndex = old.RaftIndexes.CreateIndex
		if sameService(old, c) {
			return
		}
		if old.Service != c.Service || old.MeshName() != c.MeshName() {
			t.DeleteServiceRecord(old)
		}
	}
	t.put(tableServices, c)
	t.touch(TopicServices, TopicNode(c.Node))
	t.touchService(c)
	t.renameChecks(c)
}

// renameChecks keeps the service name and tags that an instance's checks repeat.
func (t *Tx) renameChecks(s *model.Service) {
	for _, c := range all[*model.Check](t.reader, tableChecks, byService, serviceKey(s.Node, s.ID)) {
		if c.ServiceName == s.Service && slices.Equal(c.ServiceTags, s.Tags) {
			continue
		}
		k := c.Clone()
		k.ServiceName, k.ServiceTags = s.Service, s.Tags
		k.RaftIndexes.ModifyIndex = t.index
		t.put(tableChecks, k)
		t.touchCheck(k)
	}
}

// touchService notes that an instance, or what is joined to it, changes.
func (t *Tx) touchService(s *model.Service) {
	t.touch(TopicService(s.Service))
	t.touchHealth(s)
}

// touchHealth notes that the checks of an instance change.
func (t *Tx) touchHealth(s *model.Service) {
	t.touch(TopicHealth(s.Service))
	if m := s.MeshName(); m != "" {
		t.touch(TopicMesh(m))
	}
}

func sameService(a, b *model.Service) bool {
	x, y := *a, *b
	x.RaftIndexes, y.RaftIndexes = model.RaftIndexes{}, model.RaftIndexes{}
	return reflect.DeepEqual(x, y)
}

// DeleteService removes an instance with its checks, and tells whether there was one.
func (t *Tx) DeleteService(n model.NodeName, id model.ServiceID) bool {
	s := t.Service(n, id)
	if s == nil {
		return false
	}
	for _, c := range all[*model.Check](t.reader, tableChecks, byService, serviceKey(n, id)) {
		t.DeleteCheck(n, c.CheckID)
	}
	t.DeleteServiceRecord(s)
	return true
}

// DeleteServiceRecord removes an instance and leaves its checks, which the caller replaces or removes.
func (t *Tx) DeleteServiceRecord(s *model.Service) {
	t.remove(tableServices, s)
	t.touch(TopicServices, TopicNode(s.Node))
	t.touchService(s)
	if first[*model.Service](t.reader, tableServices, byName, nameKey(s.Service)) == nil {
		t.touch(topicExtinct)
		t.forget(TopicService(s.Service), TopicHealth(s.Service), TopicServiceChecks(s.Service))
	}
	if m := s.MeshName(); m != "" && first[*model.Service](t.reader, tableServices, byMesh, nameKey(m)) == nil {
		t.touch(topicExtinct)
		t.forget(TopicMesh(m))
	}
}
