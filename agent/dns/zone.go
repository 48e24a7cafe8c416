package dns

import (
	"github.com/miekg/dns"
)

// serversName is the service whose instances are the servers, which stand as the zone's name servers.
const serversName = "consul"

// maxServers is how many name servers are told at a time.
const maxServers = 3

// soaLookup answers for the start of authority of any name in a served domain, with the name servers beside it.
type soaLookup struct{}

func (soaLookup) answer(r *resolver, q question) (reply, error) {
	ns, glue, err := r.nameServers(q.zone)
	if err != nil {
		return reply{}, err
	}
	// The record is the first domain's, also where the second was asked for: clients know it so.
	return reply{rows: []row{{record: r.soaRecord(r.domain)}}, authority: ns, additional: glue}, nil
}

// nsLookup answers for the name servers of any name in a served domain.
type nsLookup struct{}

func (nsLookup) answer(r *resolver, q question) (reply, error) {
	ns, glue, err := r.nameServers(q.zone)
	if err != nil {
		return reply{}, err
	}
	a := reply{additional: glue}
	for _, record := range ns {
		a.rows = append(a.rows, row{record: record})
	}
	return a, nil
}

// nameServers returns some live servers in a random order, and their addresses. Servers whose name is no DNS label
// are left out: nobody could resolve them.
func (r *resolver) nameServers(zone string) (ns, glue []dns.RR, err error) {
	s, err := r.catalog.service(serversName, "", false)
	if err != nil || s == nil {
		return nil, nil, err
	}
	targets := draw(r, s.targets, len(s.targets))
	for n := range targets {
		t := &targets[n]
		if !hostLabel(string(t.node.Node)) {
			continue
		}
		name := r.nodeName(t, zone)
		if !packable(name) {
			continue
		}
		ns = append(ns, &dns.NS{Hdr: header(zone, dns.TypeNS, r.nodeTTL), Ns: name})
		if a, _ := parseAddress(t.node.Address); a.IsValid() {
			glue = append(glue, address(name, a, r.nodeTTL))
		}
		if len(ns) == maxServers {
			break
		}
	}
	return ns, glue, nil
}

// soaRecord is the start of authority of a zone. Its serial is the time, as the zone may change at any.
func (r *resolver) soaRecord(zone string) dns.RR {
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA, r.soa.MinTTL), Ns: "ns." + zone, Mbox: "hostmaster." + zone,
		Serial: uint32(r.now.Unix()), Refresh: r.soa.Refresh, Retry: r.soa.Retry, Expire: r.soa.Expire, Minttl: r.soa.MinTTL,
	}
}

// hostLabel tells whether s is a label of a host name (RFC 1123 2.1).
func hostLabel(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for n := range len(s) {
		c := s[n] | 0x20
		if (c < 'a' || c > 'z') && (s[n] < '0' || s[n] > '9') && s[n] != '-' {
			return false
		}
	}
	return true
}
