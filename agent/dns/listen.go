package dns

import (
	"context"
	"net"
	"strconv"

	"github.com/lictor-mesh/lictor/model/fault"
)

// ListenUDP binds sockets UDP sockets to one address, among which the system divides the queries, so that as many
// processors answer. Where a system cannot, it binds one. An address in use is an error of kind fault.Unavailable.
func ListenUDP(ctx context.Context, addr string, sockets int) ([]net.PacketConn, error) {
	// Sockets that share a port would also share it with another process of this user, in silence: a socket that
	// does not share finds out first, and chooses a port where none is given.
	probe, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", addr)
	if err != nil {
		return nil, unbound(addr, err)
	}
	if sockets < 2 || !sharesPorts {
		return []net.PacketConn{probe}, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		probe.Close()
		return nil, unbound(addr, err)
	}
	addr = net.JoinHostPort(host, strconv.Itoa(probe.LocalAddr().(*net.UDPAddr).Port))
	probe.Close()
	bound := make([]net.PacketConn, 0, sockets)
	for range sockets {
		c, err := (&net.ListenConfig{Control: sharePort}).ListenPacket(ctx, "udp", addr)
		if err != nil {
			for _, b := range bound {
				b.Close()
			}
			return nil, unbound(addr, err)
		}
		bound = append(bound, c)
	}
	return bound, nil
}

func unbound(addr string, err error) error {
	return fault.New(fault.Unavailable, "DNS cannot listen on UDP %s: %w", addr, err).
		WithHint("stop what listens there, or choose another port with -dns-port or ports.dns")
}
