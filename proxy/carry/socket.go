package carry

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// Socket is the connection under a TLS session. It adds to a net.Conn what carrying needs: a read that does not
// wait, writes that are gathered, a look at whether bytes are waiting, and a reset.
type Socket struct {
	net.Conn
	raw   syscall.RawConn
	probe bool // owned by the reading goroutine
	eof   bool // the connection ended; owned by the reading goroutine

	mu       sync.Mutex
	gather   bool
	gathered *buffer
	length   int
}

// NewSocket wraps a TCP or unix connection. Other connections work, without what only those can do.
func NewSocket(c net.Conn) *Socket {
	s := &Socket{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	return s
}

// nothingYet is the answer of a probing read when no byte is there. It is temporary, so crypto/tls keeps the part of
// a record that it has and goes on with the next read.
type nothingYet struct{}

func (nothingYet) Error() string   { return "no bytes yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

// Read implements net.Conn.
func (s *Socket) Read(b []byte) (int, error) {
	var n int
	var err error
	if s.probe {
		n, err = s.tryRead(b)
	} else {
		n, err = s.Conn.Read(b)
	}
	s.eof = s.eof || err == io.EOF
	return n, err
}

// Write implements net.Conn.
func (s *Socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gather {
		return s.Conn.Write(b)
	}
	if s.length+len(b) > len(s.gathered.bytes) {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > len(s.gathered.bytes) {
		return s.Conn.Write(b)
	}
	s.length += copy(s.gathered.bytes[s.length:], b)
	return len(b), nil
}

// flush writes what was gathered. The caller holds mu: the order of TLS records on the wire is their order here.
func (s *Socket) flush() error {
	n := s.length
	s.length = 0
	_, err := s.Conn.Write(s.gathered.bytes[:n])
	return err
}

// together runs write, and sends what it writes in as few system calls as fit into x.
func (s *Socket) together(x *buffer, write func() (int, error)) (int, error) {
	s.mu.Lock()
	s.gather, s.gathered = true, x
	s.mu.Unlock()
	n, err := write()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.length > 0 {
		if ferr := s.flush(); err == nil {
			err = ferr
		}
	}
	s.gather, s.gathered = false, nil
	return n, err
}

// reset closes the connection in such a way that the other end reads an error, not an end. Where the connection has
// no reset (a unix socket), it is closed.
func (s *Socket) reset() {
	if t, ok := s.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = s.Conn.Close()
}
