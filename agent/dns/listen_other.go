//go:build !linux

package dns

import "syscall"

// sharesPorts tells whether several sockets can be bound to one address.
const sharesPorts = false

func sharePort(_, _ string, _ syscall.RawConn) error { return nil }
