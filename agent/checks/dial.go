package checks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// metadata lists addresses at which cloud platforms serve credentials to the host, beside the link-local ones.
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("fd00:ec2::254"),
		netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("168.63.129.16"),
		netip.MustParseAddr("192.0.0.192"),
	}
}

// errDenied is a connection to an address that checks may not reach.
type errDenied struct{ addr netip.Addr }

func (e errDenied) Error() string {
	return fmt.Sprintf("refusing to connect to %s: checks may not reach link-local or metadata addresses (allow it in lictor.check_allow_addresses)", e.addr)
}

// denied tells whether checks may not connect to a. Addresses of IPv4 that are dressed as IPv6 count as what
// they lead to.
func (e *Env) denied(a netip.Addr) bool {
	a = plain(a.WithZone(""))
	for _, p := range e.Allow {
		if p.Contains(a) {
			return false
		}
	}
	if a.IsLinkLocalUnicast() || a.IsMulticast() {
		return true
	}
	for _, m := range metadata() {
		if a == m {
			return true
		}
	}
	return false
}

// plain takes an IPv4 address out of its mapped (RFC 4291 2.5.5), 6to4 (RFC 3056) or NAT64 (RFC 6052) form.
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is4() {
		return a
	}
	b := a.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a) && !a.IsLoopback() && !a.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return a
}

// dial resolves addr once and connects to what it resolved to, trying its addresses in turn. The name is
// never handed on: what was judged is what is connected to.
func (e *Env) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", network, err)
	}
	addrs, err := e.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var first error
	for i, a := range addrs {
		if e.denied(a) {
			first = keep(first, errDenied{a})
			continue
		}
		conn, err := dialOne(ctx, network, net.JoinHostPort(a.String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		first = keep(first, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func keep(first, err error) error {
	if first == nil {
		return err
	}
	return first
}

// dialOne leaves its share of the time to the addresses that are still to be tried.
func dialOne(ctx context.Context, network, addr string, left int) (net.Conn, error) {
	var d net.Dialer
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		d.Deadline = time.Now().Add(time.Until(deadline) / time.Duration(left))
	}
	return d.DialContext(ctx, network, addr)
}

func (e *Env) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if host == "" {
		// An address like ":8080" is this host.
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	resolver := e.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, errors.New("lookup " + host + ": no addresses")
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}
