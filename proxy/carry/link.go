// Package carry moves bytes between the two ends of a connection: the end of the one who asks (client) and of the one
// who answers (server), either of which may speak TLS.
//
// Ends are carried through as they are: a half-close as a half-close (FIN or close_notify), a reset, or a TLS stream
// that was cut off, as a reset. A direction reads into memory that is lent to it once there is something to read.
package carry

import (
	"cmp"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// Link is one connection that is being carried.
type Link struct {
	client, server *End
	buffers        *Buffers
	turn           atomic.Uint64
	up, down       atomic.Uint64
	phase          atomic.Uint32
}

// The phases of a link. It is finishing for the moment in which Finish looks whether it may.
const (
	open uint32 = iota
	finishing
	over
)

// errOver is how a direction ends that read bytes of the client after the link was finished: they were not carried.
var errOver = errors.New("the link is over")

// NewLink joins two ends. Run owns them from then on.
func NewLink(client, server *End, b *Buffers) *Link {
	return &Link{client: client, server: server, buffers: b}
}

// Turn is a snapshot of a link's traffic. It changes whenever bytes are read from either end.
type Turn uint64

// The layout of a Turn: whether all that the server said was handed on, who spoke last, how often that changed, and a
// count of reads.
const (
	answered  Turn = 1
	server    Turn = 1 << 1
	flipUnit  Turn = 1 << 2
	countUnit Turn = 1 << 32
	flipMask       = countUnit - flipUnit
)

// Answered tells that no request is in flight as far as bytes can tell: the last ones came from the server and were
// handed on to the client, or there were none.
func (t Turn) Answered() bool { return t == 0 || t&answered != 0 }

// Flips is how often the direction of the bytes changed, modulo 2^30.
func (t Turn) Flips() uint32 { return uint32(t & flipMask / flipUnit) }

// Turn returns the current snapshot.
func (l *Link) Turn() Turn { return Turn(l.turn.Load()) }

// Bytes is what was carried so far: from the client to the server, and back.
func (l *Link) Bytes() (up, down uint64) { return l.up.Load(), l.down.Load() }

// note records that bytes were read from the client (speaker 0) or the server, and are on their way.
func (l *Link) note(speaker Turn, n int) Turn {
	if speaker == server {
		l.down.Add(uint64(n))
	} else {
		l.up.Add(uint64(n))
	}
	for {
		was := l.Turn()
		now := was + countUnit
		if was&server != speaker || was == 0 {
			now = now&^flipMask | (was+flipUnit)&flipMask
		}
		now = now&^(answered|server) | speaker
		if l.turn.CompareAndSwap(uint64(was), uint64(now)) {
			return now
		}
	}
}

// handedOn records that what the server said in the turn noted has been written to the client. If somebody spoke
// since, it says nothing: the client may have sent its next request before this was reached.
func (l *Link) handedOn(noted Turn) {
	l.turn.CompareAndSwap(uint64(noted), uint64(noted|answered))
}

// Run carries until both directions have ended, and closes both ends. The error is nil for an orderly end, and
// otherwise what cut the link off first.
func (l *Link) Run() error {
	var wg sync.WaitGroup
	var up error
	wg.Go(func() { up = l.pump(l.server, l.client, 0) })
	down := l.pump(l.client, l.server, server)
	wg.Wait()
	if err := cmp.Or(down, up); err != nil {
		l.Reset()
		return err
	}
	if l.end() {
		l.client.Close()
		l.server.Close()
	}
	return nil
}

// pump carries one direction.
func (l *Link) pump(dst, src *End, speaker Turn) error {
	for {
		x, n, err := src.next(l.buffers)
		if err == io.EOF {
			// A failure to say so shows at the other direction.
			_ = dst.closeWrite()
			return nil
		}
		if err != nil {
			// The source was reset, or its TLS stream was cut off: the destination must not take it for an end.
			l.Reset()
			return err
		}
		noted := l.note(speaker, n)
		// The turn is noted before the phase is read, and Finish does the reverse: either it sees these bytes and leaves
		// the link open, or they are not carried. A request is never taken whose answer cannot come back.
		if l.settled() == over {
			l.buffers.takeBack(x)
			return errOver
		}
		err = dst.write(x.bytes[:n], l.buffers)
		l.buffers.takeBack(x)
		if err != nil {
			// The destination takes no more, but what it sent before may still be on its way to the source: the other
			// direction goes on until it has read the end or the reset that follows.
			return err
		}
		if speaker == server {
			l.handedOn(noted)
		}
	}
}

// settled is the phase, open or over.
func (l *Link) settled() uint32 {
	for {
		if phase := l.phase.Load(); phase != finishing {
			return phase
		}
		runtime.Gosched() // Finish makes one system call at most
	}
}

// end makes the link be over, and tells whether it was open before: then the caller closes both ends.
func (l *Link) end() bool {
	for l.settled() == open {
		if l.phase.CompareAndSwap(open, over) {
			return true
		}
	}
	return false
}

// Reset cuts the link off: both ends read an error.
func (l *Link) Reset() {
	if l.end() {
		l.client.Reset()
		l.server.Reset()
	}
}

// Finish ends the link in order if it is still at the turn seen, and nothing that the client sent is waiting. Then
// the client reads an end, and no request that it sends meanwhile is taken. It reports whether it did.
func (l *Link) Finish(seen Turn) bool {
	if !l.phase.CompareAndSwap(open, finishing) {
		return false
	}
	if l.Turn() != seen || l.client.socket.pending() {
		l.phase.Store(open)
		return false
	}
	l.phase.Store(over)
	l.client.Close()
	l.server.Close()
	return true
}
