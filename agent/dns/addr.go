package dns

import (
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// addrLookup answers for names that spell an address in hexadecimal: SRV targets of instances with their own.
type addrLookup struct{ labels []string }

func (l addrLookup) answer(r *resolver, q question) (reply, error) {
	raw, err := hex.DecodeString(l.labels[0])
	a, ok := netip.AddrFromSlice(raw)
	if err != nil || !ok || len(l.labels) != 1 {
		return r.negative(q, dns.RcodeNameError), nil
	}
	record := address(strings.ToLower(q.name), a, 0)
	if q.qtype == dns.TypeANY || q.qtype == record.Header().Rrtype {
		return reply{rows: []row{{record: record}}}, nil
	}
	return reply{additional: []dns.RR{record}}, nil
}
