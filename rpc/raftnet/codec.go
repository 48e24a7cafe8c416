package raftnet

import (
	"time"

	"github.com/hashicorp/raft"
	"github.com/tinylib/msgp/msgp"

	"github.com/lictor-mesh/lictor/model/fault"
)

// Raft's messages are msgpack arrays of their fields in the order given here. A reader skips what follows
// the fields it knows, so fields may be added at the end. hashicorp/raft's own encoding uses reflection and
// would be the costliest step of replication.

// encoder appends fields.
type encoder struct{ b []byte }

func (e *encoder) header(h raft.RPCHeader, fields int) {
	e.b = msgp.AppendArrayHeader(e.b, uint32(3+fields))
	e.b = msgp.AppendInt(e.b, int(h.ProtocolVersion))
	e.b = msgp.AppendBytes(e.b, h.ID)
	e.b = msgp.AppendBytes(e.b, h.Addr)
}

func (e *encoder) u64(v ...uint64) {
	for _, n := range v {
		e.b = msgp.AppendUint64(e.b, n)
	}
}

func (e *encoder) bytes(v []byte) { e.b = msgp.AppendBytes(e.b, v) }
func (e *encoder) bool(v bool)    { e.b = msgp.AppendBool(e.b, v) }

// decoder reads fields; after the first error it reads zeros. Byte slices refer to the message.
type decoder struct {
	b      []byte
	err    error
	fields uint32
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) array() uint32 {
	if d.err != nil {
		return 0
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(d.b)
	if err != nil {
		d.fail(err)
		return 0
	}
	d.b = rest
	return n
}

// header reads the common fields of a message that has at least the given number of its own.
func (d *decoder) header(fields uint32) (h raft.RPCHeader) {
	n := d.array()
	if d.err == nil && n < 3+fields {
		d.fail(fault.New(fault.BadRequest, "Raft message of %d fields, %d are needed", n, 3+fields))
	}
	d.fields = n - 3 - fields
	h.ProtocolVersion = raft.ProtocolVersion(d.i64())
	h.ID, h.Addr = d.bytes(), d.bytes()
	return h
}

// rest skips what a newer sender added.
func (d *decoder) rest() error {
	for ; d.err == nil && d.fields > 0; d.fields-- {
		b, err := msgp.Skip(d.b)
		if err != nil {
			d.fail(err)
		}
		d.b = b
	}
	if d.err != nil {
		return fault.New(fault.BadRequest, "Raft message cannot be read: %w", d.err)
	}
	return nil
}

func (d *decoder) i64() (v int64) {
	if d.err == nil {
		var err error
		if v, d.b, err = msgp.ReadInt64Bytes(d.b); err != nil {
			d.fail(err)
		}
	}
	return v
}

func (d *decoder) u64() (v uint64) {
	if d.err == nil {
		var err error
		if v, d.b, err = msgp.ReadUint64Bytes(d.b); err != nil {
			d.fail(err)
		}
	}
	return v
}

func (d *decoder) bool() (v bool) {
	if d.err == nil {
		var err error
		if v, d.b, err = msgp.ReadBoolBytes(d.b); err != nil {
			d.fail(err)
		}
	}
	return v
}

// bytes returns nil for an empty field, as Raft's zero values are.
func (d *decoder) bytes() (v []byte) {
	if d.err == nil {
		var err error
		if v, d.b, err = msgp.ReadBytesZC(d.b); err != nil {
			d.fail(err)
		}
	}
	if len(v) == 0 {
		return nil
	}
	return v[:len(v):len(v)]
}

func encodeAppend(m *raft.AppendEntriesRequest) []byte {
	size := 128 + len(m.ID) + len(m.Addr)
	for _, l := range m.Entries {
		size += 64 + len(l.Data) + len(l.Extensions)
	}
	e := &encoder{b: make([]byte, 0, size)}
	e.header(m.RPCHeader, 5)
	e.u64(m.Term, m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex)
	e.b = msgp.AppendArrayHeader(e.b, uint32(len(m.Entries)))
	for _, l := range m.Entries {
		e.b = msgp.AppendArrayHeader(e.b, 6)
		e.u64(l.Index, l.Term, uint64(l.Type), uint64(unixNano(l.AppendedAt)))
		e.bytes(l.Data)
		e.bytes(l.Extensions)
	}
	return e.b
}

// minEntry is the least number of bytes of an entry, by which a count is checked before it is believed.
const minEntry = 7

func decodeAppend(b []byte) (*raft.AppendEntriesRequest, error) {
	d := &decoder{b: b}
	m := &raft.AppendEntriesRequest{RPCHeader: d.header(5)}
	m.Term, m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex = d.u64(), d.u64(), d.u64(), d.u64()
	n := d.array()
	if d.err == nil && int(n) > len(d.b)/minEntry {
		d.fail(fault.New(fault.BadRequest, "%d entries announced in %d bytes", n, len(d.b)))
	}
	if d.err == nil && n > 0 {
		m.Entries = make([]*raft.Log, 0, n)
		logs := make([]raft.Log, n)
		for i := range logs {
			decodeLog(d, &logs[i])
			if d.err != nil {
				break
			}
			m.Entries = append(m.Entries, &logs[i])
		}
	}
	return m, d.rest()
}

func decodeLog(d *decoder, l *raft.Log) {
	n := d.array()
	if d.err == nil && n < 6 {
		d.fail(fault.New(fault.BadRequest, "log entry of %d fields", n))
		return
	}
	l.Index, l.Term, l.Type = d.u64(), d.u64(), raft.LogType(d.u64())
	if at := int64(d.u64()); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	l.Data, l.Extensions = d.bytes(), d.bytes()
	for ; d.err == nil && n > 6; n-- {
		b, err := msgp.Skip(d.b)
		if err != nil {
			d.fail(err)
		}
		d.b = b
	}
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func encodeAppendReply(m *raft.AppendEntriesResponse) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 4)
	e.u64(m.Term, m.LastLog)
	e.bool(m.Success)
	e.bool(m.NoRetryBackoff)
	return e.b
}

func decodeAppendReply(b []byte, m *raft.AppendEntriesResponse) error {
	d := &decoder{b: b}
	m.RPCHeader = d.header(4)
	m.Term, m.LastLog, m.Success, m.NoRetryBackoff = d.u64(), d.u64(), d.bool(), d.bool()
	return d.rest()
}

func encodeVote(m *raft.RequestVoteRequest) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 4)
	e.u64(m.Term, m.LastLogIndex, m.LastLogTerm)
	e.bool(m.LeadershipTransfer)
	return e.b
}

func decodeVote(b []byte) (*raft.RequestVoteRequest, error) {
	d := &decoder{b: b}
	m := &raft.RequestVoteRequest{RPCHeader: d.header(4)}
	m.Term, m.LastLogIndex, m.LastLogTerm, m.LeadershipTransfer = d.u64(), d.u64(), d.u64(), d.bool()
	return m, d.rest()
}

func encodeVoteReply(m *raft.RequestVoteResponse) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 2)
	e.u64(m.Term)
	e.bool(m.Granted)
	return e.b
}

func decodeVoteReply(b []byte, m *raft.RequestVoteResponse) error {
	d := &decoder{b: b}
	m.RPCHeader = d.header(2)
	m.Term, m.Granted = d.u64(), d.bool()
	return d.rest()
}

func encodePreVote(m *raft.RequestPreVoteRequest) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 3)
	e.u64(m.Term, m.LastLogIndex, m.LastLogTerm)
	return e.b
}

func decodePreVote(b []byte) (*raft.RequestPreVoteRequest, error) {
	d := &decoder{b: b}
	m := &raft.RequestPreVoteRequest{RPCHeader: d.header(3)}
	m.Term, m.LastLogIndex, m.LastLogTerm = d.u64(), d.u64(), d.u64()
	return m, d.rest()
}

func encodePreVoteReply(m *raft.RequestPreVoteResponse) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 2)
	e.u64(m.Term)
	e.bool(m.Granted)
	return e.b
}

func decodePreVoteReply(b []byte, m *raft.RequestPreVoteResponse) error {
	d := &decoder{b: b}
	m.RPCHeader = d.header(2)
	m.Term, m.Granted = d.u64(), d.bool()
	return d.rest()
}

func encodeSnapshot(m *raft.InstallSnapshotRequest) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 7)
	e.u64(uint64(m.SnapshotVersion), m.Term, m.LastLogIndex, m.LastLogTerm)
	e.bytes(m.Configuration)
	e.u64(m.ConfigurationIndex, uint64(m.Size))
	return e.b
}

func decodeSnapshot(b []byte) (*raft.InstallSnapshotRequest, error) {
	d := &decoder{b: b}
	m := &raft.InstallSnapshotRequest{RPCHeader: d.header(7)}
	m.SnapshotVersion = raft.SnapshotVersion(d.u64())
	m.Term, m.LastLogIndex, m.LastLogTerm = d.u64(), d.u64(), d.u64()
	m.Configuration = d.bytes()
	m.ConfigurationIndex, m.Size = d.u64(), int64(d.u64())
	return m, d.rest()
}

func encodeSnapshotReply(m *raft.InstallSnapshotResponse) []byte {
	e := &encoder{}
	e.header(m.RPCHeader, 2)
	e.u64(m.Term)
	e.bool(m.Success)
	return e.b
}

func decodeSnapshotReply(b []byte, m *raft.InstallSnapshotResponse) error {
	d := &decoder{b: b}
	m.RPCHeader = d.header(2)
	m.Term, m.Success = d.u64(), d.bool()
	return d.rest()
}

func encodeTimeoutNow(h raft.RPCHeader) []byte {
	e := &encoder{}
	e.header(h, 0)
	return e.b
}

func decodeTimeoutNow(b []byte) (raft.RPCHeader, error) {
	d := &decoder{b: b}
	h := d.header(0)
	return h, d.rest()
}
