package state

import (
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// IntentionSet returns the intentions with a destination, or nil when there are none.
func (r reader) IntentionSet(destination model.ServiceName) *model.IntentionSet {
	return first[*model.IntentionSet](r, tableIntentions, byID, nameKey(destination))
}

// IntentionSets returns all intentions by destination.
func (r reader) IntentionSets() []*model.IntentionSet {
	return all[*model.IntentionSet](r, tableIntentions, byID, "")
}

// Intention returns the intention from source to destination, or nil.
func (r reader) Intention(source, destination model.ServiceName) *model.Intention {
	set := r.IntentionSet(destination)
	if set == nil {
		return nil
	}
	if i := indexOfSource(set, source, ""); i >= 0 {
		return set.Sources[i]
	}
	return nil
}

// IntentionByID returns an intention that the legacy API made, or nil. It looks through all of them, since
// nothing but that API asks by id.
func (r reader) IntentionByID(id string) *model.Intention {
	for _, set := range r.IntentionSets() {
		for _, i := range set.Sources {
			if strings.EqualFold(i.ID, id) && id != "" {
				return i
			}
		}
	}
	return nil
}

func indexOfSource(set *model.IntentionSet, source model.ServiceName, peer string) int {
	return slices.IndexFunc(set.Sources, func(i *model.Intention) bool {
		return model.Fold(i.SourceName) == model.Fold(source) && i.SourcePeer == peer
	})
}

// PutIntention inserts or replaces the intention with i's source and destination. With create set, one that
// exists is an error. An identical one moves nothing.
func (t *Tx) PutIntention(i *model.Intention, create bool) error {
	set := &model.IntentionSet{DestinationName: i.DestinationName, RaftIndexes: model.RaftIndexes{CreateIndex: t.index}}
	if old := t.IntentionSet(i.DestinationName); old != nil {
		*set = *old
		set.Sources = slices.Clone(old.Sources)
	}
	c := i.Clone()
	at := indexOfSource(set, i.SourceName, i.SourcePeer)
	if at >= 0 {
		if create {
			return fault.New(fault.Invalid, "Sources[%d] defines %q more than once", len(set.Sources), i.SourceName).
				WithHint("an intention %s -> %s exists; replace it with `intention create -replace`", i.SourceName, i.DestinationName)
		}
		old := *set.Sources[at]
		old.RaftIndexes = model.RaftIndexes{}
		if sameIntention(&old, c) {
			return nil
		}
		set.Sources[at] = c
	} else {
		set.Sources = append(set.Sources, c)
	}
	t.putIntentionSet(set)
	return nil
}

// putIntentionSet writes a set and gives its intentions the set's indexes: they are one record.
func (t *Tx) putIntentionSet(set *model.IntentionSet) {
	set.RaftIndexes.ModifyIndex = t.index
	for n, i := range set.Sources {
		c := *i
		c.DestinationName = set.DestinationName
		c.RaftIndexes = set.RaftIndexes
		set.Sources[n] = &c
	}
	t.put(tableIntentions, set)
	t.touch(TopicIntentions, TopicIntentionsTo(set.DestinationName))
}

// DeleteIntention removes the intention from source to destination, and tells whether there was one.
func (t *Tx) DeleteIntention(source, destination model.ServiceName) bool {
	old := t.IntentionSet(destination)
	if old == nil {
		return false
	}
	at := indexOfSource(old, source, "")
	if at < 0 {
		return false
	}
	if len(old.Sources) == 1 {
		t.remove(tableIntentions, old)
		t.touch(TopicIntentions)
		t.forget(TopicIntentionsTo(destination))
		return true
	}
	set := *old
	set.Sources = slices.Delete(slices.Clone(old.Sources), at, at+1)
	t.putIntentionSet(&set)
	return true
}

func sameIntention(a, b *model.Intention) bool {
	x, _ := a.MarshalMsg(nil)
	c := *b
	c.RaftIndexes = model.RaftIndexes{}
	y, _ := c.MarshalMsg(nil)
	return len(a.Meta) < 2 && len(b.Meta) < 2 && string(x) == string(y)
}
