package state

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/go-memdb"

	"github.com/lictor-mesh/lictor/model"
)

// Store is the state of one server. Snapshots may be taken by anyone at any time; Begin and Restore belong
// to the one goroutine that applies the Raft log.
type Store struct {
	db atomic.Pointer[memdb.MemDB]
	// applied is the index of the last commit.
	applied atomic.Uint64
	// epoch counts Restores: what was read before one is not comparable with what is read after it.
	epoch atomic.Uint64
}

// New returns an empty store.
func New() *Store {
	s := &Store{}
	s.db.Store(newDB())
	return s
}

func newDB() *memdb.MemDB {
	db, err := memdb.NewMemDB(schema())
	if err != nil {
		panic("state: the schema is a constant and must be valid: " + err.Error())
	}
	return db
}

// Applied returns the index of the last commit and the epoch, the number of Restores so far.
func (s *Store) Applied() (index model.Index, epoch uint64) {
	return model.Index(s.applied.Load()), s.epoch.Load()
}

// Snapshot returns the state as of the last commit. It needs no closing.
func (s *Store) Snapshot() *Snapshot {
	// The epoch and the index are read before the tables: a snapshot may be newer than it says, never older.
	epoch, index := s.epoch.Load(), model.Index(s.applied.Load())
	return &Snapshot{reader: reader{s.db.Load().Txn(false)}, index: index, epoch: epoch}
}

// Snapshot is one consistent state.
type Snapshot struct {
	reader
	index model.Index
	epoch uint64
}

// Index is that of the last write the snapshot is sure to hold.
func (s *Snapshot) Index() model.Index { return s.index }

// Epoch is the number of Restores that came before the snapshot.
func (s *Snapshot) Epoch() uint64 { return s.epoch }

// Begin starts the write at a Raft index, which is greater than those before it. The caller ends it with
// Commit or Abort before it begins another.
func (s *Store) Begin(index model.Index) *Tx {
	txn := s.db.Load().Txn(true)
	return &Tx{reader: reader{txn}, store: s, txn: txn, index: index, woken: map[Topic]struct{}{}}
}

// Tx is a write in progress. Its reads see its own writes.
type Tx struct {
	reader
	store *Store
	txn   *memdb.Txn
	index model.Index
	// touched are the topics of what was written at the current index, in order; the last word on one counts.
	touched []touch
	// woken are the topics of the whole write.
	woken map[Topic]struct{}
	// undo takes back, last first, what was written since Begin.
	undo []func()
}

// touch says that a topic moved and, with gone set, that its name has no record any more: its index is
// forgotten, and its family's speaks for it.
type touch struct {
	topic Topic
	gone  bool
}

// Index is the Raft index of the write.
func (t *Tx) Index() model.Index { return t.index }

// Advance moves the write to the next index: several commands of one batch share a transaction.
func (t *Tx) Advance(index model.Index) { t.flushTopics(); t.index = index }

// Savepoint returns a function that takes back what is written between the two calls.
func (t *Tx) Savepoint() (rollback func()) {
	rows, topics := len(t.undo), len(t.touched)
	return func() {
		for n := len(t.undo) - 1; n >= rows; n-- {
			t.undo[n]()
		}
		t.undo, t.touched = t.undo[:rows], t.touched[:topics]
	}
}

// touch notes that the part of the state behind topics changes in this write.
func (t *Tx) touch(topics ...Topic) {
	for _, topic := range topics {
		t.touched = append(t.touched, touch{topic: topic})
	}
}

// forget drops the index of topics whose name has gone, after waking whoever waits for them.
func (t *Tx) forget(topics ...Topic) {
	for _, topic := range topics {
		t.touched = append(t.touched, touch{topic: topic, gone: true})
	}
}

// flushTopics writes the indexes of the topics that were touched since the last call.
func (t *Tx) flushTopics() {
	last := make(map[Topic]bool, len(t.touched))
	for _, c := range t.touched {
		last[c.topic] = c.gone
		t.woken[c.topic] = struct{}{}
	}
	for topic, gone := range last {
		if !gone {
			must(t.txn.Insert(tableTopics, &topicRow{Topic: string(topic), Index: t.index}))
		} else if row := first[*topicRow](t.reader, tableTopics, byID, key(string(topic))); row != nil {
			must(t.txn.Delete(tableTopics, row))
		}
	}
	t.touched, t.undo = t.touched[:0], t.undo[:0]
}

// Commit makes the write visible and returns the topics it touched, in no order.
func (t *Tx) Commit() []Topic {
	t.flushTopics()
	t.txn.Commit()
	t.store.applied.Store(uint64(t.index))
	return slices.Collect(maps.Keys(t.woken))
}

// Abort drops the write.
func (t *Tx) Abort() { t.txn.Abort() }

// put inserts or replaces row.
func (t *Tx) put(table string, row any) {
	old := t.stored(table, row)
	must(t.txn.Insert(table, row))
	t.undo = append(t.undo, func() {
		if old == nil {
			must(t.txn.Delete(table, row))
		} else {
			must(t.txn.Insert(table, old))
		}
	})
}

// remove deletes row, which exists.
func (t *Tx) remove(table string, row any) {
	must(t.txn.Delete(table, row))
	t.undo = append(t.undo, func() { must(t.txn.Insert(table, row)) })
}

// stored returns the row that has the primary key of row, or nil.
func (t *Tx) stored(table string, row any) any {
	id := t.store.db.Load().DBSchema().Tables[table].Indexes[byID].Indexer.(memdb.SingleIndexer)
	_, k, err := id.FromObject(row)
	must(err)
	old, err := t.txn.First(table, byID, string(k))
	must(err)
	return old
}

// must panics on an error that only a wrong table, index or key type can cause.
func must(err error) {
	if err != nil {
		panic("state: " + err.Error())
	}
}

// reader reads the tables of a snapshot or a write.
type reader struct{ txn *memdb.Txn }

func first[T any](r reader, table, index, k string) (row T) {
	raw, err := r.txn.First(table, index, k)
	must(err)
	if raw != nil {
		row = raw.(T)
	}
	return row
}

// all returns the rows whose key in index is k, or all rows for k == "", in the order of the index.
func all[T any](r reader, table, index, k string) []T {
	it, err := r.txn.Get(table, index+"_prefix", k)
	must(err)
	var rows []T
	for raw := it.Next(); raw != nil; raw = it.Next() {
		rows = append(rows, raw.(T))
	}
	return rows
}

// TopicIndex returns the greatest index of topics, where a name that has none is answered by its family.
// It is at least 1.
func (r reader) TopicIndex(topics ...Topic) model.Index {
	highest := model.Index(1)
	for _, t := range topics {
		for ; t != ""; t = t.fallback() {
			if row := first[*topicRow](r, tableTopics, byID, key(string(t))); row != nil {
				highest = max(highest, row.Index)
				break
			}
		}
	}
	return highest
}
