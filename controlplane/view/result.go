package view

import (
	"sync"
	"sync/atomic"

	"github.com/tinylib/msgp/msgp"

	"github.com/lictor-mesh/lictor/model"
)

// Result is what a view showed at one time. It does not change.
type Result struct {
	value msgp.Marshaler
	index model.Index
	// basis is the newest state at which the result is known to hold, epoch that of the state's restores.
	basis atomic.Uint64
	epoch uint64

	mu   sync.Mutex
	memo map[any]*memo
}

type memo struct {
	once  sync.Once
	value any
}

// maxMemos bounds the renderings kept with one result; more are made anew each time.
const maxMemos = 64

// Index is the index of the result, at least 1.
func (r *Result) Index() model.Index { return r.index }

// Epoch counts the times that the state behind the result was replaced: results of different epochs are not in
// the order of their indexes.
func (r *Result) Epoch() uint64 { return r.epoch }

// Memo returns what build makes of the result, built once for each key. Keys are comparable, and name the
// rendering and the options that shape it.
func (r *Result) Memo(key any, build func() any) any {
	r.mu.Lock()
	m := r.memo[key]
	if m == nil {
		if len(r.memo) >= maxMemos {
			r.mu.Unlock()
			return build()
		}
		if r.memo == nil {
			r.memo = map[any]*memo{}
		}
		m = &memo{}
		r.memo[key] = m
	}
	r.mu.Unlock()
	m.once.Do(func() { m.value = build() })
	return m.value
}

// encodedKey is the memo of Encoded.
type encodedKey struct{}

// Encoded returns the value in msgpack, encoded once.
func (r *Result) Encoded() []byte {
	return r.Memo(encodedKey{}, func() any {
		body, err := r.value.MarshalMsg(nil)
		if err != nil {
			panic("view: a result always encodes: " + err.Error())
		}
		return body
	}).([]byte)
}
