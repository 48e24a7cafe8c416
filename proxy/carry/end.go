package carry

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// End is one end of a link: the application's connection, or the peer's.
type End struct {
	socket *Socket
	secure *tls.Conn // nil in plain text
	plain  *waitRead
	one    [1]byte
	late   error // an error that came with the last bytes
	pace   pace
}

// Plain is an end in plain text.
func Plain(c net.Conn) *End { return &End{socket: NewSocket(c)} }

// Secure is an end that speaks TLS on s. The handshake is over.
func Secure(c *tls.Conn, s *Socket) *End { return &End{socket: s, secure: c} }

// next waits for bytes. It returns a lent buffer with n above 0 of them, or an error; io.EOF is the peer's orderly
// end of its direction.
func (e *End) next(b *Buffers) (*buffer, int, error) {
	if e.secure != nil {
		return e.nextSecure(b)
	}
	if e.plain == nil {
		e.plain = newWaitRead(e.socket, b)
	}
	x, n, err := e.plain.next(e.pace.step)
	if err == nil {
		e.pace.note(n)
	}
	return x, n, err
}

// nextSecure waits with a buffer of one byte, which makes crypto/tls decrypt a whole record; the rest of the record
// is then read into a lent buffer without waiting, and in bulk the records after it that have arrived.
func (e *End) nextSecure(b *Buffers) (*buffer, int, error) {
	if e.late != nil {
		return nil, 0, e.orderly(e.late)
	}
	n, err := e.secure.Read(e.one[:])
	if n == 0 {
		return nil, 0, e.orderly(err)
	}
	e.late = err
	step := e.pace.step
	x := b.lend(step)
	x.bytes[0] = e.one[0]
	e.socket.probe = true
	for e.late == nil && n < len(x.bytes) {
		more, err := e.secure.Read(x.bytes[n:])
		n += more
		if errors.Is(err, nothingYet{}) {
			break
		}
		e.late = err
		if step < len(sizes)-1 {
			break // a record is a message more often than not: hand it on
		}
	}
	e.socket.probe = false
	e.pace.note(n)
	return x, n, nil
}

// orderly tells a stream that was cut off between two records from one that was closed: crypto/tls takes both for an
// end, but only the second has a close_notify (RFC 8446, section 6.1), after which the connection is not read further.
func (e *End) orderly(err error) error {
	if err == io.EOF && e.socket.eof {
		return io.ErrUnexpectedEOF
	}
	return err
}

// write sends all of p.
func (e *End) write(p []byte, b *Buffers) error {
	if e.secure == nil {
		_, err := e.socket.Conn.Write(p)
		return err
	}
	if len(p) <= sizes[1] {
		_, err := e.secure.Write(p)
		return err
	}
	x := b.lend(len(sizes) - 1)
	defer b.takeBack(x)
	_, err := e.socket.together(x, func() (int, error) { return e.secure.Write(p) })
	return err
}

// closeWrite says that no more bytes follow, and leaves the other direction open.
func (e *End) closeWrite() error {
	if e.secure != nil {
		return e.secure.CloseWrite()
	}
	if c, ok := e.socket.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// Close ends the connection in order.
func (e *End) Close() {
	if e.secure != nil {
		_ = e.secure.Close()
		return
	}
	_ = e.socket.Conn.Close()
}

// Reset ends the connection so that its other end sees that something was cut off. A TLS peer gets no close_notify.
func (e *End) Reset() { e.socket.reset() }
