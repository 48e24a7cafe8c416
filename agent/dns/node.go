package dns

import (
	"net/netip"

	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/model"
)

// nodeLookup answers for a node: its address and its metadata.
type nodeLookup struct{ name, peer string }

func (l nodeLookup) answer(r *resolver, q question) (reply, error) {
	if l.peer != "" {
		return r.negative(q, dns.RcodeNameError), nil // no peering, so nothing is imported
	}
	n, err := r.catalog.node(l.name)
	if err != nil {
		return reply{}, err
	}
	if n == nil {
		return r.negative(q, dns.RcodeNameError), nil
	}
	var a reply
	switch q.qtype {
	case dns.TypeA, dns.TypeAAAA:
		a.rows = nodeAddress(r, q, n)
		if r.nodeMeta {
			a.additional = metadata(q.name, n.Meta, r.nodeTTL)
		}
	case dns.TypeANY:
		a.rows = append(nodeAddress(r, q, n), metadataRows(r, q, n)...)
	case dns.TypeTXT:
		a.rows = metadataRows(r, q, n)
	}
	return a, nil
}

// nodeAddress returns the address of a node in the family that is asked for, or the name that it has instead.
func nodeAddress(r *resolver, q question, n *model.Node) []row {
	plain, host := parseAddress(n.Address)
	if host != "" {
		return r.alias(q, host, r.nodeTTL)
	}
	a := plain
	switch q.qtype {
	case dns.TypeA:
		a = only(nodeFamily(n, tagLAN4), netip.Addr.Is4)
	case dns.TypeAAAA:
		a = only(nodeFamily(n, tagLAN6), netip.Addr.Is6)
	}
	if !a.IsValid() {
		return nil
	}
	return []row{{record: address(q.name, a, r.nodeTTL)}}
}

func only(a netip.Addr, fits func(netip.Addr) bool) netip.Addr {
	if fits(a) {
		return a
	}
	return netip.Addr{}
}

func metadataRows(r *resolver, q question, n *model.Node) []row {
	var rows []row
	for _, record := range metadata(q.name, n.Meta, r.nodeTTL) {
		rows = append(rows, row{record: record})
	}
	return rows
}

// datacenterOf is the datacenter label in names of a node.
func (r *resolver) datacenterOf(n *model.Node) string {
	if n.Datacenter != "" {
		return n.Datacenter
	}
	return r.datacenter
}
