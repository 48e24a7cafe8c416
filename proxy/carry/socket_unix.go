//go:build unix

package carry

import (
	"io"
	"syscall"
)

// tryRead reads what is there, and returns nothingYet when that is nothing.
func (s *Socket) tryRead(b []byte) (n int, err error) {
	if s.raw == nil {
		return 0, nothingYet{}
	}
	control := s.raw.Read(func(fd uintptr) bool {
		n, err = read(fd, b)
		return true
	})
	switch {
	case control != nil:
		return 0, control
	case err == syscall.EAGAIN:
		return 0, nothingYet{}
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func read(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// pending tells whether bytes, or an end, wait to be read. It does not disturb a reader.
func (s *Socket) pending() bool {
	if s.raw == nil {
		return false
	}
	waiting := false
	// Control, not Read: the reading goroutine holds the lock of the latter while it waits.
	err := s.raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waiting = err != syscall.EAGAIN
	})
	return err == nil && waiting
}

// waitRead reads into a buffer that is lent only once bytes are there. It returns the buffer with n above 0, or an
// error without a buffer.
type waitRead struct {
	socket  *Socket
	buffers *Buffers
	step    int
	x       *buffer
	n       int
	err     error
	attempt func(fd uintptr) bool
}

func newWaitRead(s *Socket, b *Buffers) *waitRead {
	w := &waitRead{socket: s, buffers: b}
	w.attempt = w.try
	return w
}

func (w *waitRead) try(fd uintptr) bool {
	x := w.buffers.lend(w.step)
	n, err := read(fd, x.bytes)
	if n > 0 {
		w.x, w.n, w.err = x, n, nil
		return true
	}
	w.buffers.takeBack(x)
	if err == syscall.EAGAIN {
		return false
	}
	w.x, w.n, w.err = nil, 0, err
	if err == nil {
		w.err = io.EOF
	}
	return true
}

func (w *waitRead) next(step int) (*buffer, int, error) {
	if w.socket.raw == nil {
		x := w.buffers.lend(step)
		n, err := w.socket.Conn.Read(x.bytes)
		if n > 0 {
			return x, n, nil
		}
		w.buffers.takeBack(x)
		return nil, 0, err
	}
	w.step = step
	if err := w.socket.raw.Read(w.attempt); err != nil {
		return nil, 0, err
	}
	return w.x, w.n, w.err
}
