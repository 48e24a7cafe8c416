package state

import (
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// CAConfig returns the configuration of the mesh's authority, or nil before there is one.
func (r reader) CAConfig() *model.CAConfig {
	return first[*model.CAConfig](r, tableCAConfig, byID, theOnly)
}

// CARoots returns all roots, active or not, by id.
func (r reader) CARoots() []*model.CARoot { return all[*model.CARoot](r, tableCARoots, byID, "") }

// ActiveCARoot returns the root that signs, or nil before there is one.
func (r reader) ActiveCARoot() *model.CARoot {
	for _, root := range r.CARoots() {
		if root.Active {
			return root
		}
	}
	return nil
}

// CAKey returns the signing key of a root, or nil when the built-in provider has none.
func (r reader) CAKey(rootID string) *model.CAKey {
	return first[*model.CAKey](r, tableCAKeys, byID, key(rootID))
}

// PutCA writes the authority's configuration and, where roots is not nil, replaces the set of roots and the
// keys of those in it. expect is the ModifyIndex of the configuration that the caller has read, 0 for none:
// when another write came between, it is a conflict.
func (t *Tx) PutCA(config *model.CAConfig, roots []*model.CARoot, keys []*model.CAKey, expect model.Index) error {
	indexes := model.RaftIndexes{CreateIndex: t.index, ModifyIndex: t.index}
	var have model.Index
	if old := t.CAConfig(); old != nil {
		have = old.RaftIndexes.ModifyIndex
		indexes.CreateIndex = old.RaftIndexes.CreateIndex
	}
	if have != expect {
		return fault.New(fault.Conflict, "the CA configuration was changed meanwhile (index %d, expected %d)", have, expect)
	}
	c := *config
	c.RaftIndexes = indexes
	t.put(tableCAConfig, &c)
	t.touch(TopicCAConfig)
	if roots != nil {
		t.replaceRoots(roots, keys)
	}
	return nil
}

func (t *Tx) replaceRoots(roots []*model.CARoot, keys []*model.CAKey) {
	old := map[string]*model.CARoot{}
	for _, r := range t.CARoots() {
		old[r.ID] = r
	}
	for _, r := range roots {
		c := *r
		c.RaftIndexes = model.RaftIndexes{CreateIndex: t.index, ModifyIndex: t.index}
		if o := old[r.ID]; o != nil {
			c.RaftIndexes.CreateIndex = o.RaftIndexes.CreateIndex
		}
		delete(old, r.ID)
		t.put(tableCARoots, &c)
	}
	for _, r := range old {
		t.remove(tableCARoots, r)
		if k := t.CAKey(r.ID); k != nil {
			t.remove(tableCAKeys, k)
		}
	}
	for _, k := range keys {
		t.put(tableCAKeys, k)
	}
	t.touch(TopicCARoots)
}
