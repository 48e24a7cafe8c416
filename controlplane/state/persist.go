package state

import (
	"fmt"
	"io"

	"github.com/hashicorp/go-memdb"
	"github.com/tinylib/msgp/msgp"

	"github.com/lictor-mesh/lictor/model"
)

// formatVersion is the version of what Persist writes.
const formatVersion = 1

// maxRow bounds a row of a snapshot before memory is taken for it.
const maxRow = 64 << 20

// persisted lists the tables of a snapshot, each with a maker of empty rows. Their order is that of the
// stream; a reader meets them by name, so it may grow anywhere.
func persisted() []struct {
	table string
	row   func() row
} {
	return []struct {
		table string
		row   func() row
	}{
		{tableNodes, func() row { return new(model.Node) }},
		{tableServices, func() row { return new(model.Service) }},
		{tableChecks, func() row { return new(model.Check) }},
		{tableIntentions, func() row { return new(model.IntentionSet) }},
		{tableCAConfig, func() row { return new(model.CAConfig) }},
		{tableCARoots, func() row { return new(model.CARoot) }},
		{tableCAKeys, func() row { return new(model.CAKey) }},
		{tableRequests, func() row { return new(Receipt) }},
		{tableTopics, func() row { return new(topicRow) }},
	}
}

type row interface {
	msgp.Marshaler
	msgp.Unmarshaler
}

// Persist writes the snapshot to w as msgpack: a version, an index, and then (table, count, rows) until an
// empty table name.
func (s *Snapshot) Persist(w io.Writer) error {
	out := msgp.NewWriter(w)
	if err := out.WriteInt(formatVersion); err != nil {
		return err
	}
	if err := out.WriteUint64(uint64(s.index)); err != nil {
		return err
	}
	for _, p := range persisted() {
		rows := all[row](s.reader, p.table, byID, "")
		if err := out.WriteString(p.table); err != nil {
			return err
		}
		if err := out.WriteInt(len(rows)); err != nil {
			return err
		}
		if err := writeRows(out, rows); err != nil {
			return err
		}
	}
	if err := out.WriteString(""); err != nil {
		return err
	}
	return out.Flush()
}

func writeRows(out *msgp.Writer, rows []row) error {
	var buf []byte
	for _, r := range rows {
		var err error
		if buf, err = r.MarshalMsg(buf[:0]); err != nil {
			return err
		}
		if err = out.WriteBytes(buf); err != nil {
			return err
		}
	}
	return nil
}

// Restore replaces the whole state by what Persist wrote. On an error the store is as it was.
func (s *Store) Restore(r io.Reader) error {
	db := newDB()
	index, err := load(db, msgp.NewReader(r))
	if err != nil {
		return fmt.Errorf("reading a snapshot: %w", err)
	}
	s.db.Store(db)
	s.applied.Store(uint64(index))
	s.epoch.Add(1)
	return nil
}

func load(db *memdb.MemDB, in *msgp.Reader) (model.Index, error) {
	version, err := in.ReadInt()
	if err != nil {
		return 0, err
	}
	if version != formatVersion {
		return 0, fmt.Errorf("its format is version %d, this server reads version %d", version, formatVersion)
	}
	index, err := in.ReadUint64()
	if err != nil {
		return 0, err
	}
	makers := map[string]func() row{}
	for _, p := range persisted() {
		makers[p.table] = p.row
	}
	txn := db.Txn(true)
	defer txn.Abort()
	for {
		table, err := in.ReadString()
		if err != nil {
			return 0, err
		}
		if table == "" {
			txn.Commit()
			return model.Index(index), nil
		}
		if makers[table] == nil {
			return 0, fmt.Errorf("it holds table %q, which this server does not know: run the version that wrote it, or a newer one", table)
		}
		if err := loadRows(txn, table, makers[table], in); err != nil {
			return 0, fmt.Errorf("table %s: %w", table, err)
		}
	}
}

func loadRows(txn *memdb.Txn, table string, fresh func() row, in *msgp.Reader) error {
	count, err := in.ReadInt()
	if err != nil {
		return err
	}
	var buf []byte
	for range count {
		size, err := in.ReadBytesHeader()
		if err != nil {
			return err
		}
		if size > maxRow {
			return fmt.Errorf("a row of %d bytes is over the limit of %d", size, maxRow)
		}
		buf = append(buf[:0], make([]byte, size)...)
		if _, err := in.ReadFull(buf); err != nil {
			return err
		}
		r := fresh()
		if _, err := r.UnmarshalMsg(buf); err != nil {
			return err
		}
		if err := txn.Insert(table, r); err != nil {
			return err
		}
	}
	return nil
}
