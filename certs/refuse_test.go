package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Each of these once was, somewhere, a certificate that said more than its owner may.
func TestRequestsThatAskForMoreAreRefused(t *testing.T) {
	a := newAuthority(t, RootParams{})
	own := web().String()
	other := model.ServiceSPIFFE(domain, "dc1", "db").String()
	otherName := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 1, 42}}
	hidden, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tagURI, Bytes: []byte(own)}, otherName})
	if err != nil {
		t.Fatal(err)
	}
	weakEC, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	good := requestFor(t, web())
	block, _ := pem.Decode([]byte(good))
	forged := bytes.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	for name, csr := range map[string]string{
		"several URIs":         csrOf(t, &x509.CertificateRequest{URIs: uris(t, own, other)}, nil),
		"own URI twice":        csrOf(t, &x509.CertificateRequest{URIs: uris(t, own, own)}, nil),
		"another identity":     csrOf(t, &x509.CertificateRequest{URIs: uris(t, other)}, nil),
		"other trust domain":   csrOf(t, &x509.CertificateRequest{URIs: uris(t, "spiffe://x.consul/ns/default/dc/dc1/svc/web")}, nil),
		"no URI":               csrOf(t, &x509.CertificateRequest{}, nil),
		"DNS name":             csrOf(t, &x509.CertificateRequest{URIs: uris(t, own), DNSNames: []string{"server.dc1.consul"}}, nil),
		"IP address":           csrOf(t, &x509.CertificateRequest{URIs: uris(t, own), IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}, nil),
		"email":                csrOf(t, &x509.CertificateRequest{URIs: uris(t, own), EmailAddresses: []string{"a@b.c"}}, nil),
		"name of other form":   csrOf(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: oidSAN(), Value: hidden}}}, nil),
		"subject":              csrOf(t, &x509.CertificateRequest{URIs: uris(t, own), Subject: pkix.Name{CommonName: "db"}}, nil),
		"CA extension":         csrOf(t, &x509.CertificateRequest{URIs: uris(t, own), ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}}}, nil),
		"P-224 key":            csrOf(t, &x509.CertificateRequest{URIs: uris(t, own)}, weakEC),
		"not proven":           pemBlock("CERTIFICATE REQUEST", forged),
		"two requests":         good + good,
		"a certificate":        a.root.RootCert,
		"garbage":              "zzz",
		"nothing":              "",
		"beyond the limit":     good + strings.Repeat(" ", maxCSR),
		"garbage in the PEM":   pemBlock("CERTIFICATE REQUEST", []byte{0x30, 0x80}),
		"expanded percent":     csrOf(t, &x509.CertificateRequest{URIs: uris(t, strings.Replace(own, "web", "w%65b", 1))}, nil),
		"upper case in scheme": csrOf(t, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{sanOf(t, "SPIFFE"+own[6:])}}, nil),
	} {
		leaf, err := SignLeaf(rand.Reader, a.root, a.key, csr, LeafSpec{ID: web(), TTL: time.Hour, Serial: 1}, instant())
		if err == nil {
			t.Errorf("%s: a leaf was signed: %+v", name, leaf)
		} else if fault.KindOf(err) == fault.Internal || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: not one clear line: %v (%s)", name, err, fault.KindOf(err))
		}
	}
	if _, err := SignLeaf(rand.Reader, a.root, a.key, good, LeafSpec{ID: web(), TTL: time.Hour, Serial: 1}, instant()); err != nil {
		t.Errorf("the request that asks for the right thing: %v", err)
	}
}

func sanOf(t *testing.T, uri string) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tagURI, Bytes: []byte(uri)}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oidSAN(), Critical: true, Value: der}
}

func TestWeakRSAKeysAreRefused(t *testing.T) {
	a := newAuthority(t, RootParams{})
	// The smallest keys that the Go library still makes are below our bound too.
	if k, err := rsa.GenerateKey(rand.Reader, 1024); err == nil {
		csr := csrOf(t, &x509.CertificateRequest{URIs: uris(t, web().String())}, k)
		if _, err := SignLeaf(rand.Reader, a.root, a.key, csr, LeafSpec{ID: web(), TTL: time.Hour, Serial: 1}, instant()); err == nil {
			t.Error("RSA 1024 was certified")
		}
	}
	n := newAuthority(t, RootParams{Key: KeyParams{RSA, 2048}})
	key, _ := parseKey(n.key.KeyPEM)
	pub := *key.Public().(*rsa.PublicKey)
	pub.E = 3
	if _, err := paramsOf(&pub); err == nil {
		t.Error("exponent 3 was accepted")
	}
}

func TestNobodyGetsTheAuthoritysIdentity(t *testing.T) {
	a := newAuthority(t, RootParams{})
	id := model.CASPIFFE(domain)
	csr := csrOf(t, &x509.CertificateRequest{URIs: uris(t, id.String())}, nil)
	if _, err := SignLeaf(rand.Reader, a.root, a.key, csr, LeafSpec{ID: id, TTL: time.Hour, Serial: 1}, instant()); !fault.Is(err, fault.Permission) {
		t.Errorf("%v", err)
	}
	foreign := model.ServiceSPIFFE("x.consul", "dc1", "web")
	if _, err := SignLeaf(rand.Reader, a.root, a.key, requestFor(t, foreign), LeafSpec{ID: foreign, TTL: time.Hour, Serial: 1}, instant()); !fault.Is(err, fault.Permission) {
		t.Errorf("%v", err)
	}
}

func TestPeerOfAnotherIdentityIsRefused(t *testing.T) {
	a, stranger := newAuthority(t, RootParams{}), newAuthority(t, RootParams{})
	trust := a.trust(t)
	now := instant()
	leaf, _ := a.leaf(t, web(), time.Hour, now)
	chain := chainOf(t, leaf.CertPEM)
	if id, err := trust.Verify(chain, PeerIsClient, now); err != nil || id != web() {
		t.Fatalf("%v %v", id, err)
	}
	forged, _ := stranger.leaf(t, web(), time.Hour, now)
	other, err := NewTrust(&model.CARoots{TrustDomain: "x.consul", Roots: []*model.CARoot{a.root}})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"wrong service":      trust.VerifyIs(model.ServiceSPIFFE(domain, "dc1", "db"), chain, PeerIsServer, now),
		"wrong datacenter":   trust.VerifyIs(model.ServiceSPIFFE(domain, "dc2", "web"), chain, PeerIsServer, now),
		"wrong trust domain": other.VerifyIs(web(), chain, PeerIsServer, now),
		"another authority":  trust.VerifyIs(web(), chainOf(t, forged.CertPEM), PeerIsServer, now),
		"expired":            trust.VerifyIs(web(), chain, PeerIsServer, now.Add(2*time.Hour)),
		"not yet valid":      trust.VerifyIs(web(), chain, PeerIsServer, now.Add(-time.Hour)),
		"no certificate":     trust.VerifyIs(web(), nil, PeerIsServer, now),
		"the root itself":    trust.VerifyIs(model.CASPIFFE(domain), chainOf(t, a.root.RootCert), PeerIsServer, now),
	} {
		if !fault.Is(err, fault.Permission) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate that our authority would never sign, signed all the same: its reader refuses it too.
func TestPeerWithSeveralIdentitiesIsRefused(t *testing.T) {
	a := newAuthority(t, RootParams{})
	s, err := NewSigner(a.root, a.key)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := newKey(rand.Reader, KeyParams{})
	sign := func(c *x509.Certificate) []*x509.Certificate {
		c.SerialNumber, c.NotBefore, c.NotAfter = s.cert.SerialNumber, instant(), instant().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, s.cert, key.Public(), s.key)
		if err != nil {
			t.Fatal(err)
		}
		return chainOf(t, pemBlock("CERTIFICATE", der))
	}
	db := model.ServiceSPIFFE(domain, "dc1", "db").String()
	for name, c := range map[string]*x509.Certificate{
		"several URIs": {URIs: uris(t, web().String(), db)},
		"an IP":        {URIs: uris(t, web().String()), IPAddresses: []net.IP{net.IPv4(1, 2, 3, 4)}},
		"no URI":       {DNSNames: []string{"web"}},
		"no SAN":       {Subject: pkix.Name{CommonName: "web"}},
		"foreign URI":  {URIs: uris(t, "https://"+cluster+".consul/ns/default/dc/dc1/svc/web")},
		"a CA":         {URIs: uris(t, web().String()), IsCA: true, BasicConstraintsValid: true},
		"server only":  {URIs: uris(t, web().String()), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
	} {
		if id, err := a.trust(t).Verify(sign(c), PeerIsClient, instant()); !fault.Is(err, fault.Permission) {
			t.Errorf("%s: taken for %v, %v", name, id, err)
		}
	}
}

func FuzzSignLeaf(f *testing.F) {
	root, key, err := NewRoot(rand.Reader, cluster, RootParams{}, instant())
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewSigner(root, key)
	if err != nil {
		f.Fatal(err)
	}
	req, err := NewLeafRequest(rand.Reader, web(), nil, KeyParams{})
	if err != nil {
		f.Fatal(err)
	}
	b, _ := pem.Decode([]byte(req.CSR))
	f.Add(b.Bytes)
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := s.Sign(rand.Reader, pemBlock("CERTIFICATE REQUEST", der), LeafSpec{ID: web(), TTL: time.Hour, Serial: 1}, instant())
		if err != nil {
			return
		}
		c := chainOf(t, leaf.CertPEM)[0]
		if id, err := identityOf(c.Extensions); err != nil || id != web() || len(c.URIs) != 1 || c.IsCA {
			t.Fatalf("a leaf for %v was signed, %v", id, err)
		}
	})
}
