package dns

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestNamesAreReadFromRightToLeft(t *testing.T) {
	one := func(k kind, labels ...string) name { return name{kind: k, labels: labels} }
	for _, c := range []struct {
		labels string
		srv    bool
		want   name
		ok     bool
	}{
		{"web.service", false, one(kindService, "web"), true},
		{"web.SERVICE", false, one(kindService, "web"), true},
		{"a.b.web.service", false, one(kindService, "a", "b", "web"), true},
		{"service.node", false, one(kindNode, "service"), true},
		{"n.with.dots.node.dc2", false, name{kind: kindNode, labels: []string{"n", "with", "dots"}, datacenter: "dc2"}, true},
		{"web.service.dc2.DC", false, name{kind: kindService, labels: []string{"web"}, datacenter: "dc2"}, true},
		{"web.service.east.peer", false, name{kind: kindService, labels: []string{"web"}, peer: "east"}, true},
		{"web.virtual.east", false, name{kind: kindVirtual, labels: []string{"web"}, peer: "east"}, true},
		{"q.query.dc2", false, name{kind: kindQuery, labels: []string{"q"}, datacenter: "dc2"}, true},
		{"0a000001.addr.any.thing.goes", false, one(kindAddr, "0a000001"), true},
		{"_web._tcp", true, one(kindService, "_web", "_tcp"), true},
		{"_web._tcp.dc2", true, name{kind: kindService, labels: []string{"_web", "_tcp"}, datacenter: "dc2"}, true},
		{"_web._tcp", false, name{}, false},
		{"_web.tcp", true, name{}, false},
		{"_._tcp", true, name{}, false},
		{"q.query.dc2.dc", false, name{}, false},
		{"web.service.x.ap", false, name{}, false},
		{"web.service.x.ns.dc1.dc", false, name{}, false},
		{"web.service.e.peer.dc1.dc", false, name{}, false},
		{"service", false, name{}, false},
		{"service.dc1", false, name{}, false},
		{"web", false, name{}, false},
		{"", false, name{}, false},
	} {
		got, ok := parse(strings.FieldsFunc(c.labels, func(r rune) bool { return r == '.' }), c.srv)
		if ok != c.ok || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q srv %v: %+v %v, want %+v %v", c.labels, c.srv, got, ok, c.want, c.ok)
		}
	}
}

func TestServiceAndTagOfRFC2782(t *testing.T) {
	for _, c := range []struct{ labels, service, tag string }{
		{"_web _tcp", "web", ""}, {"_web _TCP", "web", ""}, {"_web _v1", "web", "v1"}, {"_web _udp", "web", "udp"},
		{"web _tcp", "", ""}, {"_web tcp", "", ""}, {"x _web _tcp", "", ""}, {"_web _", "", ""},
	} {
		service, tag, ok := rfc2782(strings.Fields(c.labels))
		if service != c.service || tag != c.tag || ok != (c.service != "") {
			t.Errorf("%s: %q %q %v", c.labels, service, tag, ok)
		}
	}
}

func TestEscapesComeBack(t *testing.T) {
	for shown, raw := range map[string]string{`web`: "web", `a\.b`: "a.b", `a\032b`: "a b", `\255`: "\xff", `a\\`: `a\`, `\"`: `"`, `x\`: `x\`} {
		if got := unescape(shown); got != raw {
			t.Errorf("%s: %q, want %q", shown, got, raw)
		}
	}
	for _, name := range []string{"plain", `with space`, `back\slash`, `"quoted"`, `a;b(c)@d'e`} {
		if got := unescape(escape(name)); got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	}
}

func TestReversedNamesAreAddresses(t *testing.T) {
	for name, want := range map[string]string{
		"1.0.0.10.in-addr.arpa.": "10.0.0.1", "4.3.2.1.IN-ADDR.ARPA.": "1.2.3.4",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.": "2001:db8::1",
		"0.0.10.in-addr.arpa.": "", "256.0.0.10.in-addr.arpa.": "", "x.0.0.10.in-addr.arpa.": "", "1.2.ip6.arpa.": "",
		"in-addr.arpa.": "", "e164.arpa.": "", "arpa.": "",
	} {
		a, ok := reversed(name)
		if ok != (want != "") || ok && a.String() != want {
			t.Errorf("%s: %v %v, want %q", name, a, ok, want)
		}
	}
}

func TestServiceTTLTakesTheLongestPattern(t *testing.T) {
	s, err := newSettings(&Config{ServiceTTL: map[string]time.Duration{"web": time.Second, "web-*": 2 * time.Second, "w*": 3 * time.Second, "*": 4 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]uint32{"web": 1, "WEB": 1, "web-a": 2, "web-": 2, "wax": 3, "db": 4} {
		if got := s.ttlOf(service); got != want {
			t.Errorf("%s: %d, want %d", service, got, want)
		}
	}
}

func TestDomainThatIsNoneIsRefusedWithTheFix(t *testing.T) {
	for _, domain := range []string{"a..b", ".", strings.Repeat("x", 64), ".consul"} {
		if _, err := newSettings(&Config{AltDomain: domain}); err == nil || !strings.Contains(err.Error(), "alt_domain") {
			t.Errorf("%q: %v", domain, err)
		}
	}
}

func TestMetadataIsSpelledAsRFC1464(t *testing.T) {
	for key, want := range map[string]string{
		"env": "env=v", "a=b": "a`=b=v", "a`b": "a``b=v", " a ": "` a` =v", "rfc1035-x": "v", "RFC1035-x": "v", "": "=v",
	} {
		got := metadata("n.", map[string]string{key: "v"}, 0)
		if text := texts(got); !strings.HasSuffix(text, `"`+want+`"`) {
			t.Errorf("%q: %s, want %s", key, text, want)
		}
	}
	long := overWire(t, &dns.Msg{Answer: metadata("n.", map[string]string{"k": strings.Repeat(`\`, 600)}, 0)})
	if text := texts(long.Answer); strings.Count(text, `\\`) != 600 {
		t.Errorf("a long value came as %s", text)
	}
}
