package dns

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// serving runs s on loopback and returns its address, which is one for UDP and TCP.
func serving(t *testing.T, s *Server) string {
	t.Helper()
	packets, l, err := Listen(t.Context(), "127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, packets, []net.Listener{l}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestServesOverUDPAndTCPUntilItsContextEnds(t *testing.T) {
	f := newFixture(t)
	f.service("n1", "10.0.0.1", "web", map[string]any{"Port": 8080})
	addr := serving(t, f.server(Config{}))
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network, Timeout: 5 * time.Second}
		for range 8 { // with another source port each, so that both sockets are met
			m, _, err := c.Exchange(query("web.service.consul", dns.TypeSRV), addr)
			if err != nil {
				t.Fatal(network, err)
			}
			if want := "web.service.consul. 0 IN SRV 1 1 8080 n1.node.dc1.consul."; texts(m.Answer) != want {
				t.Errorf("%s: %s, want %s", network, texts(m.Answer), want)
			}
		}
	}
}

func TestGarbageLeavesTheServerAnswering(t *testing.T) {
	f := newFixture(t)
	addr := serving(t, f.server(Config{}))
	for _, network := range []string{"udp", "tcp"} {
		for _, garbage := range []string{"", "\x00", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 600), "\x00\x0c" + strings.Repeat("\xc0\x0c", 30)} {
			conn, err := net.Dial(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write([]byte(garbage))
			conn.Close()
		}
		c := dns.Client{Net: network, Timeout: 5 * time.Second}
		if m, _, err := c.Exchange(query("node1.node.consul", dns.TypeA), addr); err != nil || len(m.Answer) != 1 {
			t.Errorf("%s after garbage: %v %v", network, m, err)
		}
	}
}

func TestPortInUseIsToldWithTheFix(t *testing.T) {
	packets, l, err := Listen(t.Context(), "127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	for _, transport := range []string{"TCP", "UDP"} { // the TCP listener is closed after the first
		_, _, err = Listen(t.Context(), addr, 2)
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), transport+" "+addr) || fault.HintOf(err) == "" {
			t.Errorf("a port taken for %s gave %v, hint %q", transport, err, fault.HintOf(err))
		}
		l.Close()
	}
	for _, p := range packets {
		p.Close()
	}
}

func TestAnswersFollowTheCatalog(t *testing.T) {
	f := newFixture(t)
	s := f.server(Config{})
	expect := func(when string, rcode int, addrs ...string) {
		t.Helper()
		m := ask(t, s, query("web.service.consul", dns.TypeA), false)
		var got []string
		for _, r := range m.Answer {
			got = append(got, r.(*dns.A).A.String())
		}
		slices.Sort(got)
		if m.Rcode != rcode || !slices.Equal(got, addrs) {
			t.Errorf("%s: %s %v, want %v", when, dns.RcodeToString[m.Rcode], got, addrs)
		}
	}
	check := func(status string) map[string]any {
		return map[string]any{"CheckID": "c", "ServiceID": "web-n2", "Status": status}
	}
	expect("before", dns.RcodeNameError)
	f.service("n1", "10.0.0.1", "web", nil)
	expect("after the first", dns.RcodeSuccess, "10.0.0.1")
	f.service("n2", "10.0.0.2", "web", nil, check("passing"))
	expect("after the second", dns.RcodeSuccess, "10.0.0.1", "10.0.0.2")
	f.service("n2", "10.0.0.2", "web", nil, check("critical"))
	expect("while one is critical", dns.RcodeSuccess, "10.0.0.1")
	f.service("n2", "10.0.0.2", "web", nil, check("warning"))
	expect("while one is in warning", dns.RcodeSuccess, "10.0.0.1", "10.0.0.2")
	for _, n := range []model.NodeName{"n1", "n2"} {
		f.apply(&command.Deregister{Deregistration: model.Deregistration{Node: n}})
	}
	expect("after the last has gone", dns.RcodeNameError)
	if s.known.has(serviceKey{"web", false}) {
		t.Error("a name without instances is still known")
	}
	f.service("n1", "10.0.0.1", "WEB", nil)
	expect("after it is back in another case", dns.RcodeSuccess, "10.0.0.1")
}

func TestRandomNamesOpenNoViews(t *testing.T) {
	f := newFixture(t)
	s := f.server(Config{})
	ask(t, s, query("consul.service.consul", dns.TypeA), false)
	ask(t, s, query("node1.node.consul", dns.TypeA), false)
	before := f.engine.Len()
	for n := range 500 {
		for _, form := range []string{"x%d.service.consul", "x%d.connect.consul", "x%d.consul.service.consul", "x%d.node.consul", "_x%d._tcp.consul"} {
			if m := ask(t, s, query(fmt.Sprintf(form, n), dns.TypeSRV), false); len(m.Answer) > 0 {
				t.Fatal(m)
			}
		}
	}
	if after := f.engine.Len(); after != before {
		t.Errorf("%d views before, %d after", before, after)
	}
}

func TestAliasesAreFollowedWithinTheDomain(t *testing.T) {
	f := newFixture(t)
	f.service("n1", "10.0.0.1", "web", nil)
	f.service("n2", "10.0.0.2", "front", map[string]any{"Address": "web.service.consul", "Port": 80})
	f.service("n3", "10.0.0.3", "loop", map[string]any{"Address": "loop.service.consul", "Port": 80})
	s := f.server(Config{})
	if got, want := texts(ask(t, s, query("front.service.consul", dns.TypeA), false).Answer),
		"front.service.consul. 0 IN CNAME web.service.consul.\nweb.service.consul. 0 IN A 10.0.0.1"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	m := ask(t, s, query("front.service.consul", dns.TypeSRV), false)
	if got, want := texts(m.Answer)+" "+texts(m.Extra), "front.service.consul. 0 IN SRV 1 1 80 web.service.consul. web.service.consul. 0 IN A 10.0.0.1"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if m := ask(t, s, query("loop.service.consul", dns.TypeA), true); len(m.Answer) != maxAliases+1 {
		t.Errorf("an alias of itself gave\n%s", texts(m.Answer))
	}
}

func TestEveryInstanceIsAnsweredFirstInTurn(t *testing.T) {
	f := newFixture(t)
	for n := range 5 {
		f.service(fmt.Sprintf("n%d", n), fmt.Sprintf("10.0.0.%d", n), "web", nil)
	}
	s := f.server(Config{})
	seen := map[string]bool{}
	for range 500 { // five missing one each time for 500 times: (4/5)^500
		seen[ask(t, s, query("web.service.consul", dns.TypeA), false).Answer[0].String()] = true
	}
	if len(seen) != 5 {
		t.Errorf("only %d of 5 instances came first: %v", len(seen), seen)
	}
}

func TestNamesThatDNSCannotCarryDoNoHarm(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("x", 100)
	f.service(long, "10.0.0.1", "web", map[string]any{"Port": 1})
	f.service("a node;with (odd) \\ name", "10.0.0.2", "web", map[string]any{"Port": 2})
	f.service("n3", "not/an address "+long, "odd", map[string]any{"Port": 3})
	f.service("n4", strings.Repeat("y", 100), "odd", map[string]any{"Port": 4})
	s := f.server(Config{UDPAnswerLimit: 8})
	m := ask(t, s, query("web.service.consul", dns.TypeSRV), true)
	if got := texts(m.Answer); !strings.Contains(got, "0a000001.addr.dc1.consul.") || !strings.Contains(got, `a\ node\;with\ \(odd\)\ \\\ name.node`) {
		t.Errorf("targets:\n%s", got)
	}
	if m = ask(t, s, query(`a\032node\;with\ \(odd\)\ \\\ name.node.consul`, dns.TypeA), false); len(m.Answer) != 1 {
		t.Errorf("the odd name: %v", m)
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY, dns.TypeNS, dns.TypeSOA} {
		ask(t, s, query("odd.service.consul", qtype), false)
	}
	for _, addr := range []string{"1.0.0.10.in-addr.arpa", "2.0.0.10.in-addr.arpa"} {
		ask(t, s, query(addr, dns.TypePTR), false)
	}
}

func TestMetadataBeyondUDPLeavesTheAddress(t *testing.T) {
	f := newFixture(t)
	f.register(fmt.Sprintf(`{"Node":"fat","Address":"10.0.0.1","NodeMeta":{"a":%q,"b":%q}}`, strings.Repeat("x", 500), strings.Repeat("y", 500)))
	s := f.server(Config{EnableTruncate: true})
	if m := ask(t, s, query("fat.node.consul", dns.TypeA), false); len(m.Answer) != 1 || len(m.Extra) != 0 || m.Len() > plainUDP {
		t.Errorf("%v", m)
	}
	if m := ask(t, s, query("fat.node.consul", dns.TypeTXT), false); !m.Truncated || m.Len() > plainUDP {
		t.Errorf("a record that cannot fit: %v", m)
	}
	if m := ask(t, s, query("fat.node.consul", dns.TypeTXT), true); m.Truncated || len(m.Answer) != 2 {
		t.Errorf("over TCP: %v", m)
	}
}

// failing is a source that has no result.
type failing struct{ err error }

func (f failing) Fetch(context.Context, view.Query, model.Index, time.Duration) (*view.Result, error) {
	if f.err == nil {
		panic("a fault of the program")
	}
	return nil, f.err
}

func (f failing) Watch(view.Query) (*view.Watch, error) { return nil, f.err }

func TestKindsOfErrorsBecomeRcodes(t *testing.T) {
	fix := newFixture(t)
	for _, c := range []struct {
		err   error
		rcode int
	}{
		{fault.New(fault.Unavailable, "no server"), dns.RcodeServerFailure},
		{fault.New(fault.NoLeader, "no leader"), dns.RcodeServerFailure},
		{fault.New(fault.Permission, "no"), dns.RcodeNameError},
		{fault.New(fault.NotFound, "no"), dns.RcodeNameError},
		{nil, dns.RcodeServerFailure}, // a panic
	} {
		s, err := New(Config{Source: failing{c.err}, Reads: fix.reads})
		if err != nil {
			t.Fatal(err)
		}
		if m := s.guarded(query("web.service.consul", dns.TypeA), false); m.Rcode != c.rcode {
			t.Errorf("%v: %s", c.err, dns.RcodeToString[m.Rcode])
		}
	}
}

func TestWhatIsNotAQueryIsRefused(t *testing.T) {
	s := newFixture(t).server(Config{})
	notify := query("consul", dns.TypeSOA)
	notify.Opcode = dns.OpcodeNotify
	chaos := query("consul", dns.TypeSOA)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	empty := new(dns.Msg)
	for _, c := range []struct {
		req   *dns.Msg
		rcode int
	}{{notify, dns.RcodeNotImplemented}, {chaos, dns.RcodeRefused}, {empty, dns.RcodeFormatError},
		{query("consul", dns.TypeIXFR), dns.RcodeNotImplemented}, {query("consul.example", dns.TypeA), dns.RcodeRefused}} {
		if m := s.Answer(t.Context(), c.req, true); m.Rcode != c.rcode {
			t.Errorf("%v: %s", c.req, dns.RcodeToString[m.Rcode])
		}
	}
}

func TestInstancesWithoutAPortAreInAddressAnswersAlone(t *testing.T) {
	f := newFixture(t)
	f.service("n1", "10.0.0.1", "web", map[string]any{"Port": 65535})
	f.service("n2", "10.0.0.2", "web", map[string]any{"Port": 70000})
	f.service("n3", "10.0.0.3", "web", map[string]any{"Port": -1})
	f.service("n5", "10.0.0.5", "portless", nil)
	s := f.server(Config{})
	if got, want := texts(ask(t, s, query("web.service.consul", dns.TypeSRV), true).Answer), "web.service.consul. 0 IN SRV 1 1 65535 n1.node.dc1.consul."; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if m := ask(t, s, query("web.service.consul", dns.TypeA), true); len(m.Answer) != 3 {
		t.Errorf("addresses:\n%s", texts(m.Answer))
	}
	if m := ask(t, s, query("portless.service.consul", dns.TypeSRV), true); len(m.Answer) != 1 || m.Answer[0].(*dns.SRV).Port != 0 {
		t.Errorf("a service without a port: %v", m)
	}
}
