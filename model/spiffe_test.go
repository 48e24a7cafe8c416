package model

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const testDomain TrustDomain = "11111111-2222-3333-4444-555555555555.consul"

func TestIdentitiesAreWrittenAsDocumented(t *testing.T) {
	td := string(testDomain)
	for want, id := range map[string]SPIFFEID{
		"spiffe://" + td: CASPIFFE(testDomain),
		"spiffe://" + td + "/ns/default/dc/dc1/svc/web":    ServiceSPIFFE(testDomain, "dc1", "web"),
		"spiffe://" + td + "/ns/default/dc/dc1/svc/a%20b!": {},
		"spiffe://" + td + "/ns/default/dc/dc1/svc/a%20b":  ServiceSPIFFE(testDomain, "dc1", "a b"),
		"spiffe://" + td + "/agent/client/dc/dc1/id/n1":    ClientSPIFFE(testDomain, "dc1", "n1"),
		"spiffe://" + td + "/agent/server/dc/dc1":          ServerSPIFFE(testDomain, "dc1"),
		"spiffe://" + td + "/gateway/mesh/dc/dc1":          MeshGatewaySPIFFE(testDomain, "dc1"),
	} {
		got, err := ParseSPIFFE(want)
		if (id == SPIFFEID{}) {
			if err == nil {
				t.Errorf("%s: a second spelling was accepted as %+v", want, got)
			}
			continue
		}
		if err != nil || got != id || id.String() != want {
			t.Errorf("%s: parsed %+v (%v), wrote %s", want, got, err, id)
		}
	}
}

func TestForgedIdentitiesAreRefused(t *testing.T) {
	svc := "/ns/default/dc/dc1/svc/"
	for _, uri := range []string{
		"", "spiffe://", "spiffe:///", "web", "http://a.consul" + svc + "web", "SPIFFE://a.consul" + svc + "web",
		"spiffe://a.consul/", "spiffe://A.consul" + svc + "web", "spiffe://a.consul:80" + svc + "web",
		"spiffe://user@a.consul" + svc + "web", "spiffe://.consul" + svc + "web", "spiffe://a%2econsul" + svc + "web",
		"spiffe://a.consul" + svc, "spiffe://a.consul" + svc + "web/", "spiffe://a.consul/" + svc + "web",
		"spiffe://a.consul" + svc + "web?x=1", "spiffe://a.consul" + svc + "web#x", "spiffe://a.consul?x" + svc + "web",
		"spiffe://a.consul" + svc + "web/svc/db", "spiffe://a.consul" + svc + "web%2Fdb", "spiffe://a.consul" + svc + "w%65b",
		"spiffe://a.consul" + svc + "web%00", "spiffe://a.consul" + svc + "web%5Cdb", "spiffe://a.consul" + svc + "%2E%2E",
		"spiffe://a.consul" + svc + "..", "spiffe://a.consul" + svc + "a%2fb", "spiffe://a.consul" + svc + "a%c3%a4",
		"spiffe://a.consul" + svc + "a%", "spiffe://a.consul" + svc + "a%4", "spiffe://a.consul" + svc + "a%zz",
		"spiffe://a.consul/ns/other/dc/dc1/svc/web", "spiffe://a.consul/ap/default/ns/default/dc/dc1/svc/web",
		"spiffe://a.consul/NS/default/dc/dc1/svc/web", "spiffe://a.consul/agent/client/dc/dc1", "spiffe://a.consul/agent/server/dc/dc1/id/x",
		"spiffe://a.consul/gateway/terminating/dc/dc1", "spiffe://a.consul" + svc + strings.Repeat("x", 3000), "spiffe://a.consul" + svc + "web\n",
	} {
		if id, err := ParseSPIFFE(uri); err == nil {
			t.Errorf("%q was taken for %+v", uri, id)
		}
	}
}

func TestIdentityThatCouldBeMisreadIsInvalid(t *testing.T) {
	for _, id := range []SPIFFEID{
		ServiceSPIFFE(testDomain, "dc1", "web/svc/db"), ServiceSPIFFE(testDomain, "dc1", ""), ServiceSPIFFE(testDomain, "", "web"),
		ServiceSPIFFE(testDomain, "dc1", ".."), ServiceSPIFFE("UPPER.consul", "dc1", "web"), ServiceSPIFFE("", "dc1", "web"),
		{Kind: SPIFFEServer, TrustDomain: testDomain, Datacenter: "dc1", Service: "web"}, {Kind: 99, TrustDomain: testDomain},
	} {
		if id.Validate() == nil {
			t.Errorf("%+v is valid", id)
		}
	}
}

// Whatever a service is called: either the id is refused, or it is read back as itself, also by net/url
// (which x509 and Envoy-like readers stand on), and no two names share a URI.
func TestServiceNamesAreNeverConfused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		id := ServiceSPIFFE(testDomain, "dc1", ServiceName(name))
		uri := id.String()
		back, err := ParseSPIFFE(uri)
		if err != nil {
			return
		}
		if back != id {
			t.Fatalf("%q came back as %+v", uri, back)
		}
		u, err := url.Parse(uri)
		if err != nil || u.String() != uri || u.Path != "/ns/default/dc/dc1/svc/"+name {
			t.Fatalf("net/url reads %q as %v, %v", uri, u, err)
		}
	})
}

func FuzzParseSPIFFE(f *testing.F) {
	f.Add("spiffe://a.consul/ns/default/dc/dc1/svc/web")
	f.Add("spiffe://a.consul/agent/client/dc/dc1/id/%20")
	f.Fuzz(func(t *testing.T, uri string) {
		if id, err := ParseSPIFFE(uri); err == nil && (id.String() != uri || id.Validate() != nil) {
			t.Fatalf("%q is accepted but written as %q", uri, id)
		}
	})
}

func TestSigningKeyIsNeverFormatted(t *testing.T) {
	k := CAKey{RootID: "ab", KeyPEM: "topsecret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if s := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, &k) + fmt.Sprintf(verb, struct{ K *CAKey }{&k}); strings.Contains(s, "topsecret") {
			t.Errorf("%s shows the key: %s", verb, s)
		}
	}
}
