package dns

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// pointerLookup answers for reversed addresses with the node that has the address, else with the service. The
// type asked for does not matter.
type pointerLookup struct{}

func (pointerLookup) answer(r *resolver, q question) (reply, error) {
	a, ok := reversed(q.name)
	if !ok {
		return r.negative(q, dns.RcodeNameError), nil
	}
	node, service, err := r.catalog.owner(a)
	if err != nil {
		return reply{}, err
	}
	var name string
	switch {
	case node != nil:
		name = escape(string(node.Node)) + ".node." + r.datacenterOf(node) + "." + r.domain
	case service != nil:
		name = escape(string(service.Service)) + ".service." + r.datacenter + "." + r.domain
	}
	if name == "" || !packable(name) {
		return r.negative(q, dns.RcodeNameError), nil
	}
	return reply{rows: []row{{record: &dns.PTR{Hdr: header(q.name, dns.TypePTR, 0), Ptr: name}}}}, nil
}

// reversed reads the address of a name under in-addr.arpa or ip6.arpa (RFC 1035 3.5, RFC 3596 2.5).
func reversed(name string) (netip.Addr, bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		return reversed4(strings.Split(rest, "."))
	}
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa."); ok {
		return reversed6(strings.Split(rest, "."))
	}
	return netip.Addr{}, false
}

func reversed4(labels []string) (netip.Addr, bool) {
	var b [4]byte
	if len(labels) != len(b) {
		return netip.Addr{}, false
	}
	for n, label := range labels {
		v, err := strconv.ParseUint(label, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		b[len(b)-1-n] = byte(v)
	}
	return netip.AddrFrom4(b), true
}

func reversed6(labels []string) (netip.Addr, bool) {
	var b [16]byte
	if len(labels) != 2*len(b) {
		return netip.Addr{}, false
	}
	for n, label := range labels {
		v, err := strconv.ParseUint(label, 16, 4)
		if err != nil || len(label) != 1 {
			return netip.Addr{}, false
		}
		at := len(labels) - 1 - n
		b[at/2] |= byte(v) << (4 * (1 - at%2))
	}
	return netip.AddrFrom16(b).Unmap(), true
}
