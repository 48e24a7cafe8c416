package carry

import "sync"

// sizes are the steps in which a direction's buffer grows: the first for requests and answers of everyday size, the
// second for one full TLS record, the third for bulk.
var sizes = [...]int{4 << 10, 16 << 10, 256 << 10}

// Buffers lends the memory through which bytes are carried. A connection holds a buffer only while bytes move: all
// idle ones together hold none. Safe for concurrent use.
type Buffers struct {
	pools [len(sizes)]sync.Pool
}

// buffer is a lent piece of memory.
type buffer struct {
	bytes []byte
	step  int
}

// NewBuffers returns an empty stock.
func NewBuffers() *Buffers {
	b := &Buffers{}
	for step := range sizes {
		b.pools[step].New = func() any { return &buffer{make([]byte, sizes[step]), step} }
	}
	return b
}

func (b *Buffers) lend(step int) *buffer { return b.pools[step].Get().(*buffer) }

func (b *Buffers) takeBack(x *buffer) { b.pools[x.step].Put(x) }

// pace is the step that a direction has grown to.
type pace struct{ step int }

// note adapts the step to a read of n bytes into a buffer of the step: a full one makes it grow, one that would have
// fitted the step below twice over makes it shrink.
func (p *pace) note(n int) {
	switch {
	case n == sizes[p.step] && p.step < len(sizes)-1:
		p.step++
	case p.step > 0 && n <= sizes[p.step-1]/2:
		p.step--
	}
}
