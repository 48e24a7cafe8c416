// Package state holds what the cluster agrees on: MVCC tables of model values in immutable radix trees, the
// index of each topic that a read can depend on, and snapshots of all of it.
//
// A Store is changed only by committing a Tx, one at a time, and each Tx at one Raft index; whoever holds a
// Snapshot sees one consistent state for as long as it keeps it. Values in the tables are immutable: a
// write puts a new value, a reader never changes one. The package is pure: no clock, no randomness, no I/O
// but the io.Reader and io.Writer that Restore and Persist are given.
package state

import (
	"strings"

	"github.com/hashicorp/go-memdb"

	"github.com/lictor-mesh/lictor/model"
)

// The tables.
const (
	tableNodes      = "nodes"
	tableServices   = "services"
	tableChecks     = "checks"
	tableIntentions = "intentions"
	tableCARoots    = "ca-roots"
	tableCAKeys     = "ca-keys"
	tableCAConfig   = "ca-config"
	tableRequests   = "requests"
	tableTopics     = "topics"
)

// The secondary indexes.
const (
	byID      = "id"
	byUUID    = "uuid"
	byNode    = "node"
	byName    = "name"
	byMesh    = "mesh"
	byService = "service"
	byStatus  = "status"
	byTime    = "time"
)

// sep ends each part of a composite key; it is no part of any name.
const sep = "\x00"

// column is an index whose key is computed by a function, without reflection. A key that is reported absent
// leaves the row out of the index.
type column[T any] func(row T) (key string, ok bool)

// FromObject implements memdb.SingleIndexer.
func (c column[T]) FromObject(raw any) (bool, []byte, error) {
	k, ok := c(raw.(T))
	return ok, []byte(k), nil
}

// FromArgs implements memdb.Indexer: the one argument is a complete key.
func (c column[T]) FromArgs(args ...any) ([]byte, error) { return []byte(args[0].(string)), nil }

// PrefixFromArgs implements memdb.PrefixIndexer: the one argument is a prefix of a key.
func (c column[T]) PrefixFromArgs(args ...any) ([]byte, error) { return []byte(args[0].(string)), nil }

// theOnly is the key of the row of a table that has one.
const theOnly = "." + sep

func key(parts ...string) string { return strings.Join(parts, sep) + sep }

func nodeKey(n model.NodeName) string { return key(model.Fold(n)) }

func serviceKey(n model.NodeName, id model.ServiceID) string { return key(model.Fold(n), string(id)) }

func checkKey(n model.NodeName, id model.CheckID) string { return key(model.Fold(n), string(id)) }

func nameKey(n model.ServiceName) string { return key(model.Fold(n)) }

func table(name string, id memdb.Indexer, more ...*memdb.IndexSchema) *memdb.TableSchema {
	t := &memdb.TableSchema{Name: name, Indexes: map[string]*memdb.IndexSchema{
		byID: {Name: byID, Unique: true, Indexer: id},
	}}
	for _, ix := range more {
		t.Indexes[ix.Name] = ix
	}
	return t
}

func index[T any](name string, c column[T]) *memdb.IndexSchema {
	return &memdb.IndexSchema{Name: name, AllowMissing: true, Indexer: c}
}

func schema() *memdb.DBSchema {
	tables := []*memdb.TableSchema{
		table(tableNodes,
			column[*model.Node](func(n *model.Node) (string, bool) { return nodeKey(n.Node), true }),
			index(byUUID, func(n *model.Node) (string, bool) { return key(model.Fold(n.ID)), n.ID != "" })),
		table(tableServices,
			column[*model.Service](func(s *model.Service) (string, bool) { return serviceKey(s.Node, s.ID), true }),
			index(byName, func(s *model.Service) (string, bool) { return nameKey(s.Service), true }),
			index(byMesh, func(s *model.Service) (string, bool) { return nameKey(s.MeshName()), s.MeshName() != "" })),
		table(tableChecks,
			column[*model.Check](func(c *model.Check) (string, bool) { return checkKey(c.Node, c.CheckID), true }),
			index(byService, func(c *model.Check) (string, bool) { return serviceKey(c.Node, c.ServiceID), true }),
			index(byName, func(c *model.Check) (string, bool) { return nameKey(c.ServiceName), c.ServiceName != "" }),
			index(byStatus, func(c *model.Check) (string, bool) { return key(string(c.Status)), true })),
		table(tableIntentions,
			column[*model.IntentionSet](func(s *model.IntentionSet) (string, bool) { return nameKey(s.DestinationName), true })),
		table(tableCARoots, column[*model.CARoot](func(r *model.CARoot) (string, bool) { return key(r.ID), true })),
		table(tableCAKeys, column[*model.CAKey](func(k *model.CAKey) (string, bool) { return key(k.RootID), true })),
		table(tableCAConfig, column[*model.CAConfig](func(*model.CAConfig) (string, bool) { return theOnly, true })),
		table(tableRequests,
			column[*Receipt](func(r *Receipt) (string, bool) { return key(r.RequestID), true }),
			index(byTime, func(r *Receipt) (string, bool) { return timeKey(r.Time) + key(r.RequestID), true })),
		table(tableTopics, column[*topicRow](func(t *topicRow) (string, bool) { return key(t.Topic), true })),
	}
	s := &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{}}
	for _, t := range tables {
		s.Tables[t.Name] = t
	}
	return s
}
