package dns

import (
	"math"
	"sort"

	"github.com/miekg/dns"
)

// The sizes of messages, in bytes.
const (
	// plainUDP is what a client without EDNS can take (RFC 1035 4.2.1).
	plainUDP = dns.MinMsgSize
	// maxUDP bounds the size that a client may ask for, ednsMargin is kept free of it.
	maxUDP     = 65467
	ednsMargin = 8
	// maxTCP leaves room for the header below the greatest message.
	maxTCP = dns.MaxMsgSize - 12
)

// bounds say how much a message may hold.
type bounds struct {
	answers, size int
	// plain measures without compression: what lies between may spell names out.
	plain bool
}

// leastRecord is the size of the smallest record of an answer: a compressed name and an IPv4 address.
const leastRecord = 2 + 10 + 4

// room is how many records of an answer are worth making: one more than can be sent, so that it shows that some
// are dropped.
func (b bounds) room() int { return min(b.answers, b.size/leastRecord) + 1 }

// bounds returns those of the transport and, over UDP, of the size that the client told.
func (s *settings) bounds(opt *dns.OPT, tcp bool) bounds {
	switch {
	case tcp:
		return bounds{answers: math.MaxInt, size: maxTCP}
	case opt != nil && opt.UDPSize() > plainUDP:
		return bounds{answers: math.MaxInt, size: min(int(opt.UDPSize()), maxUDP) - ednsMargin}
	default:
		return bounds{answers: s.udpAnswers, size: plainUDP, plain: true}
	}
}

// message makes the answer to req from a reply, fitted to the transport. Records that do not fit are dropped with
// their additional ones; the reply is shuffled, so others remain the next time.
func (s *settings) message(req *dns.Msg, a reply, tcp bool) *dns.Msg {
	m := new(dns.Msg).SetRcode(req, a.rcode)
	m.Authoritative = a.rcode != dns.RcodeServerFailure
	m.Compress = s.compress
	m.Ns = a.authority
	asked := req.IsEdns0()
	b := s.bounds(asked, tcp)
	fill(m, a.rows, a.additional)
	if asked != nil {
		m.Extra = append(m.Extra, echo(asked))
	}
	if len(a.rows) <= b.answers && b.hold(m) {
		return m
	}
	fits := func(n int) bool { fill(m, a.rows[:n], a.additional); return b.hold(m) }
	most := min(len(a.rows), b.answers)
	n := sort.Search(most, func(n int) bool { return !fits(n + 1) })
	fill(m, a.rows[:n], a.additional)
	m.Truncated = s.truncate && n < len(a.rows)
	if n > 0 || len(a.rows) == 0 && b.hold(m) {
		return m
	}
	s.fitFirst(m, a, b)
	return m
}

// fitFirst sends the first record alone where it does not fit with what belongs to it, and nothing but the TC flag
// where it does not fit at all.
func (s *settings) fitFirst(m *dns.Msg, a reply, b bounds) {
	m.Extra, m.Compress, b.plain = nil, true, false
	if m.Answer = nil; len(a.rows) > 0 {
		m.Answer = []dns.RR{a.rows[0].record}
	}
	if b.hold(m) {
		return
	}
	m.Answer, m.Ns, m.Truncated = nil, nil, true
}

// hold tells whether the message is within the size.
func (b bounds) hold(m *dns.Msg) bool {
	compress := m.Compress
	if b.plain {
		m.Compress = false
	}
	size := m.Len()
	m.Compress = compress
	return size <= b.size
}

// fill sets the answer and additional sections, without an OPT record: an answer that was cut has none, as clients
// know it.
func fill(m *dns.Msg, rows []row, additional []dns.RR) {
	m.Answer, m.Extra = m.Answer[:0], m.Extra[:0]
	for n := range rows {
		m.Answer = append(m.Answer, rows[n].record)
		m.Extra = append(m.Extra, rows[n].extra...)
	}
	m.Extra = append(m.Extra, additional...)
}

// echo is the OPT record that answers a client's: its size, and its subnet, which had no part in the answer
// (scope 0, RFC 7871 7.2.1).
func echo(asked *dns.OPT) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(asked.UDPSize())
	for _, o := range asked.Option {
		if subnet, ok := o.(*dns.EDNS0_SUBNET); ok {
			c := *subnet
			c.SourceScope = 0
			opt.Option = append(opt.Option, &c)
			break
		}
	}
	return opt
}

// refusal answers what is not resolved: a name outside the served domains, or an operation that is not done.
func refusal(req *dns.Msg, rcode int, authoritative bool) *dns.Msg {
	m := new(dns.Msg).SetRcode(req, rcode)
	m.Authoritative = authoritative
	return m
}
