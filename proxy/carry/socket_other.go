//go:build !unix

package carry

// Without the system calls of Unix there is no read that does not wait, and an idle connection keeps a buffer.

func (s *Socket) tryRead([]byte) (int, error) { return 0, nothingYet{} }

func (s *Socket) pending() bool { return false }

type waitRead struct {
	socket  *Socket
	buffers *Buffers
}

func newWaitRead(s *Socket, b *Buffers) *waitRead { return &waitRead{s, b} }

func (w *waitRead) next(step int) (*buffer, int, error) {
	x := w.buffers.lend(step)
	n, err := w.socket.Conn.Read(x.bytes)
	if n > 0 {
		return x, n, nil
	}
	w.buffers.takeBack(x)
	return nil, 0, err
}
