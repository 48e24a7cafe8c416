package dns

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// catalog is what lookups read. A nil result without an error is a name that does not exist.
type catalog interface {
	// node returns a node by its name in any case.
	node(name string) (*model.Node, error)
	// service returns what can be answered of a service's instances with a tag, or of all for "". With connect they
	// are those through which the mesh reaches it.
	service(name, tag string, connect bool) (*selection, error)
	// owner returns the node that has an address, else a service instance that has it.
	owner(netip.Addr) (*model.Node, *model.Service, error)
}

// question is what is asked.
type question struct {
	// name is spelled as it was asked, qtype is the type of record.
	name  string
	qtype uint16
	// zone is the served domain that the name is in.
	zone string
}

// row is a record of the answer with the additional records that belong to it and leave with it.
type row struct {
	record dns.RR
	extra  []dns.RR
}

// reply is an answer before it is fitted to a transport.
type reply struct {
	rcode int
	rows  []row
	// authority and additional belong to the answer as a whole.
	authority, additional []dns.RR
}

// lookup answers a question about one kind of name.
type lookup interface {
	answer(r *resolver, q question) (reply, error)
}

// lookupOf returns the lookup for a name.
func lookupOf(n name) lookup {
	switch n.kind {
	case kindService:
		service, tag, ok := rfc2782(n.labels)
		if !ok {
			last := len(n.labels) - 1
			service, tag = n.labels[last], strings.Join(n.labels[:last], ".")
		}
		return serviceLookup{service: service, tag: tag, peer: n.peer}
	case kindConnect:
		return serviceLookup{service: n.labels[len(n.labels)-1], connect: true}
	case kindNode:
		return nodeLookup{name: strings.Join(n.labels, "."), peer: n.peer}
	case kindAddr:
		return addrLookup{labels: n.labels}
	case kindVirtual:
		return emptyLookup{} // no service has a virtual address, which is not an error
	default:
		return absentLookup{} // nothing is registered under the other kinds
	}
}

// absentLookup answers for names that do not exist.
type absentLookup struct{}

func (absentLookup) answer(r *resolver, q question) (reply, error) {
	return r.negative(q, dns.RcodeNameError), nil
}

// emptyLookup answers for names that may exist and have no records.
type emptyLookup struct{}

func (emptyLookup) answer(*resolver, question) (reply, error) { return reply{}, nil }

// resolver answers questions about one state of the catalog at one time.
type resolver struct {
	*settings
	catalog catalog
	now     time.Time
	// below returns a random number in [0, n).
	below func(n int) int
	// room is how many records of an answer are worth making: one more than can be sent.
	room int
	// depth is how many aliases were followed.
	depth int
}

// maxAliases bounds how many CNAMEs are followed within the served domains.
const maxAliases = 3

// resolve answers a question whose name is in a served domain. Errors of kinds that mean "not there for this
// caller" are NXDOMAIN; the others are returned with SERVFAIL.
func (r *resolver) resolve(q question) (reply, error) {
	a, err := r.find(q).answer(r, q)
	switch {
	case err == nil:
		return a, nil
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Permission), fault.Is(err, fault.NoPath):
		return r.negative(q, dns.RcodeNameError), nil
	default:
		return reply{rcode: dns.RcodeServerFailure}, err
	}
}

// find returns the lookup that answers q.
func (r *resolver) find(q question) lookup {
	switch {
	case q.zone == reverseZone:
		return pointerLookup{}
	case q.qtype == dns.TypeSOA:
		return soaLookup{}
	case q.qtype == dns.TypeNS:
		return nsLookup{}
	}
	labels := dns.SplitDomainName(q.name)
	labels = labels[:len(labels)-dns.CountLabel(q.zone)]
	for n := range labels {
		labels[n] = unescape(labels[n])
	}
	parsed, ok := parse(labels, q.qtype == dns.TypeSRV)
	if !ok {
		return absentLookup{}
	}
	if parsed.datacenter != "" && !strings.EqualFold(parsed.datacenter, r.datacenter) && parsed.kind != kindVirtual {
		return absentLookup{}
	}
	return lookupOf(parsed)
}

// negative says that there is no such name (NXDOMAIN) or no such record (NOERROR), with the SOA record that tells
// for how long that holds (RFC 2308 3).
func (r *resolver) negative(q question, rcode int) reply {
	return reply{rcode: rcode, authority: []dns.RR{r.soaRecord(r.own(q.zone))}}
}

// alias answers with a CNAME, and with what its target has where that is in a served domain.
func (r *resolver) alias(q question, host string, ttl uint32) []row {
	rows := []row{{record: &dns.CNAME{Hdr: header(q.name, dns.TypeCNAME, ttl), Target: host}}}
	if q.qtype == dns.TypeCNAME {
		return rows
	}
	return append(rows, r.follow(host, q.qtype)...)
}

// follow returns the addresses of a host in a served domain.
func (r *resolver) follow(host string, qtype uint16) []row {
	zone := r.zoneOf(host)
	if zone == "" || zone == reverseZone || r.depth >= maxAliases {
		return nil
	}
	deeper := *r
	deeper.depth++
	a, err := deeper.resolve(question{name: host, qtype: qtype, zone: zone})
	if err != nil || a.rcode != dns.RcodeSuccess {
		return nil // the alias itself is still true
	}
	var rows []row
	for _, w := range a.rows {
		switch w.record.Header().Rrtype {
		case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME:
			rows = append(rows, row{record: w.record})
		}
	}
	return rows
}

// draw returns n of list, or all if it has fewer, in a random order. It leaves list as it is.
func draw[T any](r *resolver, list []T, n int) []T {
	n = min(n, len(list))
	drawn := slices.Clone(list)
	for i := range n {
		j := i + r.below(len(drawn)-i)
		drawn[i], drawn[j] = drawn[j], drawn[i]
	}
	return drawn[:n]
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// address makes the A or AAAA record of an address.
func address(name string, a netip.Addr, ttl uint32) dns.RR {
	if a.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA, ttl), A: a.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: a.AsSlice()}
}

// addresses makes the rows of many addresses at once: an answer of a hundred is a handful of allocations.
func addresses(name string, addrs []netip.Addr, ttl uint32) []row {
	rows := make([]row, len(addrs))
	v4, raw := make([]dns.A, 0, len(addrs)), make([]byte, 0, 4*len(addrs))
	for n, a := range addrs {
		if !a.Is4() {
			rows[n].record = address(name, a, ttl)
			continue
		}
		b := a.As4()
		raw = append(raw, b[:]...)
		v4 = append(v4, dns.A{Hdr: header(name, dns.TypeA, ttl), A: raw[len(raw)-4 : len(raw) : len(raw)]})
		rows[n].record = &v4[len(v4)-1]
	}
	return rows
}

// parseAddress reads an address of the catalog, which may also be a host name.
func parseAddress(s string) (a netip.Addr, host string) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.WithZone("").Unmap(), ""
	}
	if s = dns.Fqdn(escape(s)); packable(s) && s != "." {
		return netip.Addr{}, s
	}
	return netip.Addr{}, ""
}
