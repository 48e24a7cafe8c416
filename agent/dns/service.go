package dns

import (
	"encoding/hex"
	"net/netip"

	"github.com/miekg/dns"
)

// serviceLookup answers for the instances of a service, or for those through which the mesh reaches it.
type serviceLookup struct {
	service, tag, peer string
	connect            bool
}

func (l serviceLookup) answer(r *resolver, q question) (reply, error) {
	if l.peer != "" {
		return r.negative(q, dns.RcodeNameError), nil // no peering, so nothing is imported
	}
	s, err := r.catalog.service(l.service, l.tag, l.connect)
	if err != nil {
		return reply{}, err
	}
	if s == nil {
		return r.negative(q, dns.RcodeNameError), nil
	}
	var rows []row
	ttl := r.ttlOf(l.service)
	switch q.qtype {
	case dns.TypeA:
		rows = l.addresses(r, q, s.v4, s.hosts, ttl)
	case dns.TypeAAAA:
		rows = l.addresses(r, q, s.v6, s.hosts, ttl)
	case dns.TypeANY, dns.TypeTXT: // TXT too: clients have come to know it so
		rows = l.addresses(r, q, s.any, s.hosts, ttl)
	case dns.TypeCNAME:
		if len(s.any) == 0 {
			rows = l.addresses(r, q, nil, s.hosts, ttl)
		}
	case dns.TypeSRV:
		rows = r.targets(q, s.targets, ttl)
	}
	if len(rows) == 0 {
		return r.negative(q, dns.RcodeSuccess), nil
	}
	return reply{rows: rows}, nil
}

// addresses answers with addresses in a random order, else with one of the hosts: a name has one CNAME at the most
// (RFC 1034 3.6.2).
func (l serviceLookup) addresses(r *resolver, q question, addrs []netip.Addr, hosts []string, ttl uint32) []row {
	if len(addrs) == 0 {
		if len(hosts) == 0 {
			return nil
		}
		return r.alias(q, hosts[r.below(len(hosts))], ttl)
	}
	return addresses(q.name, draw(r, addrs, min(r.addressLimit, r.room)), ttl)
}

// targets answers with SRV records in a random order, each with the addresses and node metadata of its target.
func (r *resolver) targets(q question, targets []target, ttl uint32) []row {
	targets = draw(r, targets, min(maxTargets, r.room))
	rows := make([]row, 0, len(targets))
	for n := range targets {
		t := &targets[n]
		name := r.targetName(t, q.zone)
		if name == "" {
			continue
		}
		srv := &dns.SRV{Hdr: header(q.name, dns.TypeSRV, ttl), Priority: 1, Weight: t.weight, Port: t.port, Target: name}
		rows = append(rows, row{record: srv, extra: r.targetExtra(t, name, q.zone, ttl)})
	}
	return rows
}

// targetName is the name of a target: its node's where it uses that one's address, one that spells its own
// address, or the host name that it has instead.
func (r *resolver) targetName(t *target, zone string) string {
	if t.host != "" {
		return t.host
	}
	if !t.own && t.label != "" {
		if name := r.nodeName(t, zone); packable(name) {
			return name
		}
	}
	name := hex.EncodeToString(t.addr.AsSlice()) + ".addr." + r.datacenterOf(t.node) + "." + zone
	if !packable(name) {
		return ""
	}
	return name
}

func (r *resolver) nodeName(t *target, zone string) string {
	return t.label + ".node." + r.datacenterOf(t.node) + "." + zone
}

func (r *resolver) targetExtra(t *target, name, zone string, ttl uint32) []dns.RR {
	var extra []dns.RR
	if t.addr.IsValid() {
		extra = append(extra, address(name, t.addr, ttl))
	} else {
		for _, w := range r.follow(t.host, dns.TypeANY) {
			extra = append(extra, w.record)
		}
	}
	if r.nodeMeta && len(t.node.Meta) > 0 && t.label != "" {
		if node := r.nodeName(t, zone); packable(node) {
			extra = append(extra, metadata(node, t.node.Meta, ttl)...)
		}
	}
	return extra
}
