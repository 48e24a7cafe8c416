package dns

import (
	"context"
	"net"
	"strconv"

	"github.com/lictor-mesh/lictor/model/fault"
)

// Listen binds one address for TCP and, with several sockets among which the system divides the queries so that as
// many processors answer, for UDP. Where a system cannot divide, there is one. Port 0 takes a port that is free for
// both. An address in use is an error of kind fault.Unavailable.
func Listen(ctx context.Context, addr string, sockets int) ([]net.PacketConn, net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "DNS cannot listen on %q: %w", addr, err).WithHint("give address:port, as in 127.0.0.1:8600")
	}
	for attempt := 0; ; attempt++ {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, nil, unbound("TCP", addr, err)
		}
		packets, err := ListenUDP(ctx, net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)), sockets)
		if err == nil {
			return packets, l, nil
		}
		l.Close()
		if port != "0" || attempt == freePortAttempts {
			return nil, nil, err
		}
	}
}

// freePortAttempts is how many ports are tried that are free for TCP but not for UDP.
const freePortAttempts = 20

// ListenUDP is Listen for UDP alone.
func ListenUDP(ctx context.Context, addr string, sockets int) ([]net.PacketConn, error) {
	// Sockets that share a port would also share it with another process of this user, in silence: a socket that
	// does not share finds out first, and chooses the port where none is given.
	probe, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", addr)
	if err != nil {
		return nil, unbound("UDP", addr, err)
	}
	if sockets < 2 || !sharesPorts {
		return []net.PacketConn{probe}, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if probe.Close(); err != nil {
		return nil, unbound("UDP", addr, err)
	}
	addr = net.JoinHostPort(host, strconv.Itoa(probe.LocalAddr().(*net.UDPAddr).Port))
	bound := make([]net.PacketConn, 0, sockets)
	for range sockets {
		c, err := (&net.ListenConfig{Control: sharePort}).ListenPacket(ctx, "udp", addr)
		if err != nil {
			for _, b := range bound {
				b.Close()
			}
			return nil, unbound("UDP", addr, err)
		}
		bound = append(bound, c)
	}
	return bound, nil
}

func unbound(transport, addr string, err error) error {
	return fault.New(fault.Unavailable, "DNS cannot listen on %s %s: %w", transport, addr, err).
		WithHint("stop what listens there, or choose another port with -dns-port or ports.dns")
}
