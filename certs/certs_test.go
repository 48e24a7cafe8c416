package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

const cluster = "11111111-2222-3333-4444-555555555555"

var domain = model.TrustDomainOf(cluster)

func instant() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

type authority struct {
	root *model.CARoot
	key  *model.CAKey
}

func newAuthority(t *testing.T, p RootParams) authority {
	t.Helper()
	root, key, err := NewRoot(rand.Reader, cluster, p, instant())
	if err != nil {
		t.Fatal(err)
	}
	return authority{root, key}
}

func (a authority) leaf(t *testing.T, id model.SPIFFEID, ttl time.Duration, now time.Time) (*model.LeafCert, LeafRequest) {
	t.Helper()
	req, err := NewLeafRequest(rand.Reader, id, nil, KeyParams{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := SignLeaf(rand.Reader, a.root, a.key, req.CSR, LeafSpec{ID: id, TTL: ttl, Serial: 9}, now)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, req
}

func (a authority) trust(t *testing.T) *Trust {
	t.Helper()
	trust, err := NewTrust(&model.CARoots{TrustDomain: string(domain), Roots: []*model.CARoot{a.root}})
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func chainOf(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return out
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
}

func web() model.SPIFFEID { return model.ServiceSPIFFE(domain, "dc1", "web") }

func TestRootHasTheRecordedShape(t *testing.T) {
	a := newAuthority(t, RootParams{Serial: 7})
	c := chainOf(t, a.root.RootCert)[0]
	if !regexp.MustCompile(`^pri-[a-z0-9]{8}\.consul\.ca\.11111111\.consul$`).MatchString(c.Subject.CommonName) {
		t.Errorf("CN %q", c.Subject.CommonName)
	}
	if len(c.URIs) != 1 || c.URIs[0].String() != "spiffe://"+cluster+".consul" || len(c.DNSNames) != 0 {
		t.Errorf("SAN %v %v", c.URIs, c.DNSNames)
	}
	if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign|x509.KeyUsageCRLSign || !c.IsCA || len(c.ExtKeyUsage) != 0 {
		t.Errorf("usage %v CA %v ext %v", c.KeyUsage, c.IsCA, c.ExtKeyUsage)
	}
	if got := c.NotAfter.Sub(instant()); got != 87600*time.Hour {
		t.Errorf("life %s", got)
	}
	r := a.root
	if r.ID != rootID(c.Raw) || len(strings.Split(r.ID, ":")) != 20 || len(strings.Split(r.SigningKeyID, ":")) != 32 || a.key.RootID != r.ID {
		t.Errorf("ID %s key id %s", r.ID, r.SigningKeyID)
	}
	if r.Name != "Consul CA Primary Cert" || r.SerialNumber != 7 || r.ExternalTrustDomain != cluster || !r.Active ||
		r.PrivateKeyType != "ec" || r.PrivateKeyBits != 256 || r.IntermediateCerts != nil || !strings.HasSuffix(r.RootCert, "-----END CERTIFICATE-----\n") {
		t.Errorf("%+v", r)
	}
	if r.NotBefore.Location() != time.UTC || r.NotBefore.Nanosecond() != 0 {
		t.Errorf("NotBefore %v is not RFC 3339 in UTC", r.NotBefore)
	}
}

func TestEveryKeyTypeSignsLeavesThatVerify(t *testing.T) {
	for _, p := range []KeyParams{{}, {EC, 224}, {EC, 384}, {EC, 521}, {RSA, 2048}} {
		a := newAuthority(t, RootParams{Key: p})
		req, err := NewLeafRequest(rand.Reader, web(), nil, p)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := SignLeaf(rand.Reader, a.root, a.key, req.CSR, LeafSpec{ID: web(), TTL: time.Hour, Serial: 1}, instant())
		if err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		if err := a.trust(t).VerifyIs(web(), chainOf(t, leaf.CertPEM), PeerIsServer, instant()); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestLeafHasTheRecordedShape(t *testing.T) {
	a := newAuthority(t, RootParams{})
	leaf, req := a.leaf(t, web(), 72*time.Hour, instant())
	c := chainOf(t, leaf.CertPEM)[0]
	if c.Subject.String() != "" || len(c.URIs) != 1 || c.URIs[0].String() != web().String() {
		t.Errorf("subject %q URIs %v", c.Subject, c.URIs)
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidSAN()) && !e.Critical {
			t.Error("SAN is not critical though the subject is empty")
		}
	}
	if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment|x509.KeyUsageKeyAgreement ||
		len(c.ExtKeyUsage) != 2 || c.IsCA {
		t.Errorf("usage %v %v", c.KeyUsage, c.ExtKeyUsage)
	}
	if leaf.SerialNumber != "09" || leaf.Service != "web" || leaf.ServiceURI != web().String() || leaf.RootID != a.root.ID {
		t.Errorf("%+v", leaf)
	}
	if !leaf.ValidBefore.Equal(instant().Add(72*time.Hour)) || !leaf.ValidAfter.Equal(instant().Add(-time.Minute)) {
		t.Errorf("valid %s to %s", leaf.ValidAfter, leaf.ValidBefore)
	}
	if _, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(req.Key.Reveal())); err != nil {
		t.Errorf("key does not fit: %v", err)
	}
}

func TestLeafNeverOutlivesItsRoot(t *testing.T) {
	a := newAuthority(t, RootParams{TTL: 2 * time.Hour})
	leaf, _ := a.leaf(t, web(), 72*time.Hour, instant())
	if leaf.ValidBefore.After(a.root.NotAfter) {
		t.Errorf("leaf ends %s, root %s", leaf.ValidBefore, a.root.NotAfter)
	}
	_, err := SignLeaf(rand.Reader, a.root, a.key, requestFor(t, web()), LeafSpec{ID: web(), TTL: time.Hour, Serial: 1}, instant().Add(3*time.Hour))
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("an expired root signed: %v", err)
	}
}

func requestFor(t *testing.T, id model.SPIFFEID) string {
	t.Helper()
	req, err := NewLeafRequest(rand.Reader, id, nil, KeyParams{})
	if err != nil {
		t.Fatal(err)
	}
	return req.CSR
}

func csrOf(t *testing.T, template *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	if key == nil {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key = k
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pemBlock("CERTIFICATE REQUEST", der)
}

func uris(t *testing.T, list ...string) []*url.URL {
	t.Helper()
	var out []*url.URL
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

func TestSerialsAreShownInColonHex(t *testing.T) {
	for want, b := range map[string][]byte{"00": nil, "09": {9}, "1a:2b": {0x1a, 0x2b}, "ff:00": {0xff, 0}} {
		if got := ColonHex(b); got != want {
			t.Errorf("%x: %s, want %s", b, got, want)
		}
	}
}
