package identity_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
)

func TestParseIDTakesSPIFFEIDsOnly(t *testing.T) {
	id, err := identity.ParseID("spiffe://a.consul/ns/default/dc/dc1/svc/web")
	if err != nil || id.TrustDomain() != "a.consul" || id.Service() != "web" {
		t.Errorf("%q %v: %q %q", id, err, id.TrustDomain(), id.Service())
	}
	for _, bad := range []string{"", "spiffe://", "spiffe://a", "spiffe://a/", "https://a/b", "spiffe:///a", "spiffe://u@a/b",
		"spiffe://a:1/b", "spiffe://a/b?c", "spiffe://a/b#c", "spiffe:a/b", "SPIFFE://a/b", "spiffe://a/" + strings.Repeat("x", 3000)} {
		if _, err := identity.ParseID(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

func TestVerifyChecksEachTimeWhatTimeChanges(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	roots, web := ca.Roots(t), ca.Identity(t, "web")
	chain := []*x509.Certificate{web.Certificate.Leaf}
	usage := x509.ExtKeyUsageClientAuth
	for range 2 { // verified, and then remembered
		if id, err := roots.Verify(chain, usage, "a.consul", time.Now()); err != nil || string(id) != ca.ID("web") {
			t.Fatal(id, err)
		}
		if _, err := roots.Verify(chain, usage, "b.consul", time.Now()); !fault.Is(err, fault.Permission) {
			t.Error("another trust domain: ", err)
		}
		if _, err := roots.Verify(chain, usage, "a.consul", time.Now().Add(2*time.Hour)); err == nil {
			t.Error("an expired certificate is taken")
		}
		if _, err := roots.Verify(chain, usage, "a.consul", time.Now().Add(-2*time.Hour)); err == nil {
			t.Error("a future certificate is taken")
		}
		if _, err := roots.Verify(chain, x509.ExtKeyUsageCodeSigning, "a.consul", time.Now()); err == nil {
			t.Error("another usage is taken")
		}
	}
	if _, err := meshtest.NewCA(t, "a.consul").Roots(t).Verify(chain, usage, "a.consul", time.Now()); err == nil {
		t.Error("another root vouches")
	}
	if _, err := roots.Verify(nil, usage, "a.consul", time.Now()); err == nil {
		t.Error("no certificate is taken")
	}
}

func TestBadSecretsAreRefused(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	chain, key := ca.Leaf(t, ca.ID("web"))
	_, other := ca.Leaf(t, ca.ID("web"))
	none, noneKey := ca.Leaf(t)
	for what, pair := range map[string][2][]byte{"another key": {chain, other}, "no key": {chain, nil}, "no URI": {none, noneKey}, "swapped": {key, chain}} {
		if _, err := identity.ParseIdentity(pair[0], pair[1]); err == nil || strings.Contains(err.Error(), "MIG") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, roots := range [][]byte{nil, []byte("x"), key, append(append([]byte{}, ca.PEM...), key...)} {
		if _, err := identity.ParseRoots(roots); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20q: %v", roots, err)
		}
	}
	if r, err := identity.ParseRoots(append(append([]byte{}, ca.PEM...), meshtest.NewCA(t, "a.consul").PEM...)); err != nil || r.Len() != 2 {
		t.Error("a set of two roots: ", err)
	}
}
