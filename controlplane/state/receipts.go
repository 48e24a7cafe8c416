package state

import (
	"encoding/binary"
	"time"
)

// ReceiptAge is how long the outcome of a write is remembered under its request id, by the commands' own
// times, so that a retry across an election cannot do it twice.
const ReceiptAge = time.Minute

func timeKey(t time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())))
}

// Receipt returns what is remembered of a request id, or nil.
func (r reader) Receipt(id string) *Receipt {
	return first[*Receipt](r, tableRequests, byID, key(id))
}

// PutReceipt remembers an outcome, and forgets those that are ReceiptAge older.
func (t *Tx) PutReceipt(r *Receipt) {
	t.put(tableRequests, r)
	for {
		oldest := first[*Receipt](t.reader, tableRequests, byTime+"_prefix", "")
		if oldest == nil || r.Time.Sub(oldest.Time) <= ReceiptAge {
			return
		}
		t.remove(tableRequests, oldest)
	}
}
