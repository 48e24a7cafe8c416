package state

import (
	"maps"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Node returns a node by its name, without regard to case, or nil.
func (r reader) Node(name model.NodeName) *model.Node {
	return first[*model.Node](r, tableNodes, byID, nodeKey(name))
}

// NodeByID returns a node by its UUID, or nil.
func (r reader) NodeByID(id model.NodeID) *model.Node {
	return first[*model.Node](r, tableNodes, byUUID, key(model.Fold(id)))
}

// Nodes returns all nodes by name.
func (r reader) Nodes() []*model.Node { return all[*model.Node](r, tableNodes, byID, "") }

// putNode inserts or updates a node and returns the record as it stands. An identical record moves nothing.
func (t *Tx) putNode(n *model.Node) (*model.Node, error) {
	old := t.Node(n.Node)
	if n.ID != "" {
		if err := t.claimNodeID(n, &old); err != nil {
			return nil, err
		}
	}
	c := n.Clone()
	c.RaftIndexes = model.RaftIndexes{CreateIndex: t.index, ModifyIndex: t.index}
	if old != nil {
		if c.ID == "" && t.alive(old) {
			c.ID = old.ID // who is alive keeps its identity, and with it its name
		}
		c.RaftIndexes.CreateIndex = old.RaftIndexes.CreateIndex
		if sameNode(old, c) {
			return old, nil
		}
	}
	t.put(tableNodes, c)
	t.touch(TopicNodes, TopicNode(c.Node))
	for _, s := range t.nodeServices(c.Node) {
		t.touchService(s)
	}
	return c, nil
}

// claimNodeID gives the node n its UUID. The same UUID under another name renames that node; another UUID
// under the same name takes the name over, unless the node that has it is alive.
func (t *Tx) claimNodeID(n *model.Node, byName **model.Node) error {
	holder := t.NodeByID(n.ID)
	if holder != nil && model.Fold(holder.Node) != model.Fold(n.Node) {
		if *byName != nil && t.alive(*byName) {
			return nameReserved(n, *byName)
		}
		renamed := *holder
		t.DeleteNode(holder.Node)
		*byName = &renamed
		return nil
	}
	if old := *byName; old != nil && old.ID != "" && !strings.EqualFold(string(old.ID), string(n.ID)) && t.alive(old) {
		return nameReserved(n, old)
	}
	return nil
}

// alive tells whether the node's gossip check passes: a live member's name is not taken from it.
func (t *Tx) alive(n *model.Node) bool {
	c := t.Check(n.Node, model.SerfHealth)
	return c != nil && c.Status == model.StatusPassing
}

func nameReserved(n, holder *model.Node) error {
	return fault.New(fault.Invalid,
		"failed inserting node: Error while renaming Node ID: %q: Node name %s is reserved by node %s with name %s (%s)",
		n.ID, n.Node, holder.ID, holder.Node, holder.Address).
		WithHint("node %s is alive with another identity; stop that agent first, or choose another node name", holder.Node)
}

func sameNode(a, b *model.Node) bool {
	return a.ID == b.ID && a.Node == b.Node && a.Address == b.Address && a.Datacenter == b.Datacenter &&
		maps.Equal(a.TaggedAddresses, b.TaggedAddresses) && maps.Equal(a.Meta, b.Meta) && sameLocality(a.Locality, b.Locality)
}

func sameLocality(a, b *model.Locality) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// DeleteNode removes a node with its services and checks, and tells whether there was one.
func (t *Tx) DeleteNode(name model.NodeName) bool {
	n := t.Node(name)
	if n == nil {
		return false
	}
	for _, s := range t.nodeServices(name) {
		t.DeleteService(name, s.ID)
	}
	for _, c := range all[*model.Check](t.reader, tableChecks, byID, nodeKey(name)) {
		t.DeleteCheck(name, c.CheckID)
	}
	t.remove(tableNodes, n)
	t.touch(TopicNodes)
	t.forget(TopicNode(name), TopicNodeChecks(name))
	return true
}
