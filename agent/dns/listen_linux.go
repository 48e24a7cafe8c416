package dns

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// sharesPorts tells whether several sockets can be bound to one address.
const sharesPorts = true

// sharePort lets several sockets be bound to one address.
func sharePort(_, _ string, c syscall.RawConn) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); err != nil {
		return err
	}
	return failed
}
