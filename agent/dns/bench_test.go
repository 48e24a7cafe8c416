package dns

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// BenchmarkAnswer is the work of one query without its socket: the question unpacked, the answer packed.
func BenchmarkAnswer(b *testing.B) {
	f := newFixture(b)
	for n := range 100 {
		f.service(fmt.Sprintf("node-%d", n), fmt.Sprintf("10.0.1.%d", n), "web", map[string]any{"Port": 80, "Tags": []string{"v1"}})
	}
	s := f.server(Config{})
	for _, c := range []struct {
		name string
		req  *dns.Msg
	}{
		{"service-A", query("web.service.consul", dns.TypeA)},
		{"service-A-edns", query("web.service.consul", dns.TypeA).SetEdns0(1232, false)},
		{"service-SRV", query("web.service.consul", dns.TypeSRV)},
		{"tag-A", query("v1.web.service.consul", dns.TypeA)},
		{"node-A", query("node-1.node.consul", dns.TypeA)},
		{"unknown", query("nope.service.consul", dns.TypeA)},
	} {
		b.Run(c.name, func(b *testing.B) {
			raw, err := c.req.Pack()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			buf := make([]byte, dns.MaxMsgSize)
			for b.Loop() {
				req := new(dns.Msg)
				if err := req.Unpack(raw); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Answer(b.Context(), req, false).PackBuffer(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
