// Package meshtest has what the proxy's tests need of a mesh: a certificate authority, and a delta ADS server on the
// generated stubs. It is for tests alone.
package meshtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/proxy/identity"
)

// CA is a certificate authority of one trust domain.
type CA struct {
	Domain string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	// PEM is the root certificate.
	PEM []byte
}

// NewCA makes an authority.
func NewCA(t testing.TB, domain string) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: "root of " + domain},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, URIs: []*url.URL{{Scheme: "spiffe", Host: domain}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &CA{Domain: domain, cert: cert, key: key, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func serial(t testing.TB) *big.Int {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ID is the SPIFFE id of a service in the authority's trust domain.
func (ca *CA) ID(service string) string {
	return "spiffe://" + ca.Domain + "/ns/default/dc/dc1/svc/" + service
}

// Leaf makes a certificate with its key for URI names, for an hour.
func (ca *CA) Leaf(t testing.TB, uris ...string) (chain, key []byte) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(t), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, priv.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})
}

// Identity is a parsed Leaf of a service.
func (ca *CA) Identity(t testing.TB, service string) *identity.Identity {
	t.Helper()
	id, err := identity.ParseIdentity(ca.Leaf(t, ca.ID(service)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Roots is the parsed set with the authority's root alone.
func (ca *CA) Roots(t testing.TB) *identity.Roots {
	t.Helper()
	r, err := identity.ParseRoots(ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
