package netlimit

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	owner *Listener
	key   netip.Addr
	hasIP bool
	once  sync.Once

	timer   *time.Timer
	waiting atomic.Bool // until the first byte, where there is a limit
}

// NetConn returns the connection below, for what needs the socket itself (splicing, socket options).
func (c *conn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.waiting.Load() && c.waiting.Swap(false) {
		c.timer.Stop()
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.timer != nil {
		c.timer.Stop()
	}
	return c.end()
}

// end is Close without the timer, whose own goroutine may run before the field is set.
func (c *conn) end() error {
	c.once.Do(func() { c.owner.release(c.key, c.hasIP) })
	return c.Conn.Close()
}

// CloseWrite passes a half-close on, where the connection has one.
func (c *conn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return c.Close()
}

func (c *conn) silent() {
	if !c.waiting.Swap(false) {
		return
	}
	c.owner.mu.Lock()
	c.owner.stats.Silent++
	c.owner.mu.Unlock()
	_ = c.end()
}
