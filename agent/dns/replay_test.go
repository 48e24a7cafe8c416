package dns

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/model"
)

// recorded is a line of a recording.
type recorded struct {
	Kind, Scenario, Step, Config, Transport string
	SameAs                                  string `json:"same_as"`
	Request                                 struct {
		Method, Path string
		Body         json.RawMessage
	}
	Question struct{ Name, Type string }
	Size     uint16 `json:"edns_udp_size"`
	Subnet   string `json:"edns_client_subnet"`
	Do       bool
	RD       *bool
	Response struct {
		Rcode                         string
		Flags                         []string
		Answers                       int `json:"answer_count"`
		Authorities                   int `json:"authority_count"`
		Additionals                   int `json:"additional_count"`
		Answer, Authority, Additional []json.RawMessage
		Size                          int `json:"size_uncompressed"`
	}
}

// configs are what the recorded agents ran with.
func configs() map[string]Config {
	return map[string]Config{
		"dns": {}, "dev": {},
		"dns-domain":   {Domain: "corp.example", Datacenter: "dc5"},
		"dns-truncate": {EnableTruncate: true},
		"dns-udplimit": {UDPAnswerLimit: 5},
		"dns-alimit":   {ARecordLimit: 2},
		"dns-options": {AltDomain: "alt.test", OnlyPassing: true, NodeTTL: 10 * time.Second, OmitNodeMeta: true,
			ServiceTTL: map[string]time.Duration{"*": 5 * time.Second, "web": 30 * time.Second}, DisableCompression: true,
			SOA: SOA{Refresh: 111, Retry: 222, Expire: 333, MinTTL: 44}},
	}
}

// skipped are the lines that cannot hold yet, by the part of their scenario or name that tells them, with the reason.
func skipped() []struct{ part, reason string } {
	return []struct{ part, reason string }{
		{"dns-acl-deny", "there are no ACLs yet"},
		{"dns-recursor-dead", "there are no recursors yet"},
		{" web-q.query.", "there are no prepared queries yet"},
		{" _web-q._tcp.query.", "there are no prepared queries yet"},
		{" geo-web.query.", "there are no prepared queries yet"},
		{" web.virtual.consul.", "no virtual addresses are allocated yet"},
		{" web.ingress.consul.", "there are no config entries yet, so no gateway exposes a service"},
	}
}

func TestAnswersAreAsRecorded(t *testing.T) {
	for _, file := range []string{"lookups", "config-variants", "truncation"} {
		t.Run(file, func(t *testing.T) { replay(t, "testdata/"+file+".jsonl") })
	}
}

func replay(t *testing.T, path string) {
	scenarios, order := map[string][]recorded{}, []string{}
	for _, l := range recording(t, path) {
		if scenarios[l.Scenario] == nil {
			order = append(order, l.Scenario)
		}
		scenarios[l.Scenario] = append(scenarios[l.Scenario], l)
	}
	for _, name := range order {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var s *Server
			for _, l := range scenarios[name] {
				if reason := skip(&l); reason != "" {
					t.Logf("skipped %s: %s", l.Step, reason)
					continue
				}
				switch l.Kind {
				case "setup":
					f.set(&l)
				case "setup-ref":
					for _, other := range scenarios[l.SameAs] {
						if other.Kind == "setup" {
							f.set(&other)
						}
					}
				default:
					if s == nil {
						c, ok := configs()[l.Config]
						if !ok {
							t.Fatalf("config %s is unknown", l.Config)
						}
						s = f.server(c)
					}
					compare(t, s, &l)
				}
			}
		})
	}
}

func recording(t *testing.T, path string) (lines []recorded) {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scan := bufio.NewScanner(file)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var l recorded
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func skip(l *recorded) string {
	for _, s := range skipped() {
		if strings.Contains(l.Scenario+" "+l.Question.Name, s.part) {
			return s.reason
		}
	}
	return ""
}

// set does what a setup line did to the catalog.
func (f *fixture) set(l *recorded) {
	path := l.Request.Path
	switch {
	case path == "/v1/catalog/register":
		f.register(string(l.Request.Body))
	case path == "/v1/agent/service/register":
		def, err := definition.DecodeAgentService(l.Request.Body)
		if err != nil {
			f.t.Fatal(err)
		}
		f.apply(&command.Register{Registration: model.Registration{Node: model.Node{Node: "node1"}, SkipNodeUpdate: true, Service: &def.Service}})
	case strings.HasPrefix(path, "/v1/agent/service/maintenance/"):
		f.maintain(model.ServiceID(strings.TrimSuffix(strings.TrimPrefix(path, "/v1/agent/service/maintenance/"), "?enable=true")))
	case path == "/v1/agent/maintenance?enable=true":
		f.maintain("")
	case path == "/v1/config", path == "/v1/query": // see skipped
	default:
		f.t.Fatalf("the setup %s is unknown", path)
	}
}

func (f *fixture) maintain(service model.ServiceID) {
	f.apply(&command.Register{Registration: model.Registration{Node: model.Node{Node: "node1"}, SkipNodeUpdate: true,
		Checks: []*model.Check{{CheckID: "maintenance:" + model.CheckID(service), ServiceID: service, Status: model.StatusCritical}}}})
}

func compare(t *testing.T, s *Server, l *recorded) {
	t.Helper()
	req := request(t, l)
	m := ask(t, s, req, l.Transport == "tcp")
	where := fmt.Sprintf("%s %s %s edns %d", l.Transport, l.Question.Name, l.Question.Type, l.Size)
	want := &l.Response
	if got := dns.RcodeToString[m.Rcode]; got != want.Rcode {
		t.Errorf("%s: %s, want %s", where, got, want.Rcode)
	}
	if got := flags(m); !slices.Equal(got, want.Flags) {
		t.Errorf("%s: flags %v, want %v", where, got, want.Flags)
	}
	uncompressed := *m
	uncompressed.Compress = false
	if n := uncompressed.Len(); n != want.Size {
		t.Errorf("%s: %d bytes uncompressed, want %d", where, n, want.Size)
	}
	// Which records are left of many is random.
	cut := len(m.Answer) > 1 && strings.Contains(l.Scenario, "-trunc-") || strings.HasSuffix(l.Scenario, "-limit")
	section(t, where+": answer", m.Answer, want.Answers, want.Answer, cut)
	section(t, where+": authority", m.Ns, want.Authorities, want.Authority, false)
	section(t, where+": additional", m.Extra, want.Additionals, want.Additional, cut)
}

func request(t *testing.T, l *recorded) *dns.Msg {
	req := query(l.Question.Name, dns.StringToType[l.Question.Type])
	if l.RD != nil {
		req.RecursionDesired = *l.RD
	}
	if l.Size > 0 {
		req.SetEdns0(l.Size, l.Do)
	}
	if l.Subnet != "" {
		p := netip.MustParsePrefix(l.Subnet)
		opt := req.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()})
	}
	return req
}

func flags(m *dns.Msg) (list []string) {
	for _, f := range []struct {
		name string
		set  bool
	}{{"qr", m.Response}, {"aa", m.Authoritative}, {"tc", m.Truncated}, {"rd", m.RecursionDesired}, {"ra", m.RecursionAvailable}} {
		if f.set {
			list = append(list, f.name)
		}
	}
	return list
}

func section(t *testing.T, where string, got []dns.RR, count int, want []json.RawMessage, cut bool) {
	t.Helper()
	if len(got) != count {
		t.Errorf("%s: %d records, want %d:\n%s", where, len(got), count, texts(got))
		return
	}
	if cut || len(want) != count {
		return
	}
	var g, w []string
	for _, r := range got {
		g = append(g, recordText(r))
	}
	for _, raw := range want {
		w = append(w, wantText(t, raw))
	}
	slices.Sort(g)
	slices.Sort(w)
	if !slices.Equal(g, w) {
		t.Errorf("%s:\n%s\nwant\n%s", where, strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// recordText is a record in the recording's terms.
func recordText(r dns.RR) string {
	h := r.Header()
	switch r := r.(type) {
	case *dns.OPT:
		text := fmt.Sprintf("OPT %d %v", r.UDPSize(), r.Do())
		for _, o := range r.Option {
			text += " " + o.String()
		}
		return text
	case *dns.SOA:
		if age := time.Since(time.Unix(int64(r.Serial), 0)); age < -time.Minute || age > time.Minute {
			return "a serial that is not the time: " + r.String()
		}
		return fmt.Sprintf("%s %d SOA %s %s <int> %d %d %d %d", h.Name, h.Ttl, r.Ns, r.Mbox, r.Refresh, r.Retry, r.Expire, r.Minttl)
	default:
		data := strings.TrimPrefix(r.String(), h.String())
		return fmt.Sprintf("%s %d %s %s", h.Name, h.Ttl, dns.TypeToString[h.Rrtype], data)
	}
}

func wantText(t *testing.T, raw json.RawMessage) string {
	var w struct {
		Name, Type, Rdata string
		TTL               int
		Do                bool
		Size              int `json:"udp_size"`
		Options           []string
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		t.Fatal(err)
	}
	if w.Type == "OPT" {
		return strings.Join(append([]string{"OPT", strconv.Itoa(w.Size), strconv.FormatBool(w.Do)}, w.Options...), " ")
	}
	return fmt.Sprintf("%s %d %s %s", w.Name, w.TTL, w.Type, strings.ReplaceAll(w.Rdata, "<port:server>", serverPort))
}
