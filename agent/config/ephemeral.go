package config

import "net/netip"

// WithEphemeralPorts is c with every listener that is on at a port of the system's choice, which only the listener
// itself knows. It lets many agents run in one process or on one host. c is not changed.
func (c *Config) WithEphemeralPorts() *Config {
	e := *c
	for _, list := range []*[]Listen{&e.HTTPAddrs, &e.HTTPSAddrs, &e.GRPCAddrs, &e.GRPCTLSAddrs, &e.DNSAddrs} {
		moved := make([]Listen, 0, len(*list))
		for _, l := range *list {
			if at, err := netip.ParseAddrPort(l.Address); err == nil && l.Network == "tcp" {
				l.Address = netip.AddrPortFrom(at.Addr(), 0).String()
			}
			moved = append(moved, l)
		}
		*list = moved
	}
	for _, at := range []*netip.AddrPort{&e.RPCBind, &e.SerfBindLAN, &e.SerfBindWAN} {
		if at.IsValid() {
			*at = netip.AddrPortFrom(at.Addr(), 0)
		}
	}
	return &e
}
