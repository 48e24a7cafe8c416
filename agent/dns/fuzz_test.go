package dns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzQueries holds that whatever a packet says, nothing panics, and an answer parses, is for the query, and fits.
func FuzzQueries(f *testing.F) {
	fix := newFixture(f)
	for n := range 40 {
		fix.service(fmt.Sprintf("node-%d", n), fmt.Sprintf("10.0.1.%d", n), "web", map[string]any{"Port": n, "Tags": []string{"v1"}})
	}
	fix.service("cn", "www.example.com", "ext", map[string]any{"Port": 1})
	fix.service("six", "2001:db8::1", "front", map[string]any{"Address": "web.service.consul", "Port": 1})
	fix.register(fmt.Sprintf(`{"Node":"fat","Address":"10.0.0.1","NodeMeta":{"a":%q}}`, strings.Repeat("x", 500)))
	servers := []*Server{fix.server(Config{}), fix.server(Config{EnableTruncate: true, DisableCompression: true, UDPAnswerLimit: 8, AltDomain: "alt.test"})}
	for _, name := range []string{"web.service.consul", "_web._v1.service.consul", "_web._tcp.consul", "v1.web.service.dc1.consul", "fat.node.consul",
		"front.service.alt.test", "0a000001.addr.consul", "1.0.0.10.in-addr.arpa", "consul", "ext.service.consul", `\000\255.node.consul`, "."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY, dns.TypeSOA, dns.TypeAXFR} {
			req := query(name, qtype)
			if qtype == dns.TypeSRV {
				req.SetEdns0(1232, false)
			}
			raw, err := req.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw, qtype == dns.TypeANY)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, tcp bool) {
		req := new(dns.Msg)
		if req.Unpack(raw) != nil {
			return
		}
		for _, s := range servers {
			holds(t, s, req, tcp)
		}
	})
}

func holds(t *testing.T, s *Server, req *dns.Msg, tcp bool) {
	m := s.Answer(t.Context(), req, tcp)
	raw, err := m.Pack()
	if err != nil {
		t.Fatalf("the answer to %v does not pack: %v\n%v", req, err, m)
	}
	back := new(dns.Msg)
	if err := back.Unpack(raw); err != nil {
		t.Fatalf("the answer to %v does not parse: %v", req, err)
	}
	if back.Id != req.Id || !back.Response {
		t.Fatalf("an answer to something else: %v", back)
	}
	limit := plainUDP
	if opt := req.IsEdns0(); opt != nil {
		limit = max(limit, int(opt.UDPSize()))
	}
	if tcp {
		limit = dns.MaxMsgSize
	}
	if len(req.Question) == 1 && len(raw) > limit {
		t.Fatalf("%d bytes for a client that takes %d: %v", len(raw), limit, back)
	}
}
