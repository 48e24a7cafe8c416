package certs

import (
	"crypto/x509"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Trust is a set of roots against which peers' chains are verified. It is immutable.
type Trust struct {
	domain model.TrustDomain
	pool   *x509.CertPool
}

// NewTrust reads the roots of a cluster. One that cannot be read is an error: a peer is not refused later
// for a root that was skipped.
func NewTrust(roots *model.CARoots) (*Trust, error) {
	t := &Trust{domain: model.TrustDomain(roots.TrustDomain), pool: x509.NewCertPool()}
	for _, r := range roots.Roots {
		cert, err := parseCert(r.RootCert)
		if err != nil {
			return nil, fault.New(fault.Invalid, "root %s: %w", r.ID, err)
		}
		t.pool.AddCert(cert)
	}
	return t, nil
}

// PeerRole is what the peer is in the handshake.
type PeerRole uint8

// The roles of a peer.
const (
	PeerIsClient PeerRole = iota
	PeerIsServer
)

// Verify checks the chain that a peer presented (leaf first) and returns whose it is: exactly one identity,
// of this trust domain, below one of the roots, valid now and for its role. It is meant for
// tls.Config.VerifyConnection, which also runs on resumption. That the identity is the one wanted, or
// may do what it asks, is for the caller to decide: see VerifyIs.
func (t *Trust) Verify(chain []*x509.Certificate, role PeerRole, now time.Time) (model.SPIFFEID, error) {
	var none model.SPIFFEID
	if len(chain) == 0 {
		return none, fault.New(fault.Permission, "peer presented no certificate")
	}
	leaf := chain[0]
	if leaf.IsCA {
		return none, fault.New(fault.Permission, "peer presented an authority's certificate as its own")
	}
	usage := x509.ExtKeyUsageClientAuth
	if role == PeerIsServer {
		usage = x509.ExtKeyUsageServerAuth
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return none, fault.New(fault.Permission, "peer's certificate is not trusted: %v", err)
	}
	id, err := identityOf(leaf.Extensions)
	if err != nil {
		return none, err
	}
	if id.TrustDomain != t.domain {
		return none, fault.New(fault.Permission, "peer is %s, of another trust domain than %s", id, t.domain)
	}
	if id.Kind == model.SPIFFECA {
		return none, fault.New(fault.Permission, "peer presented the authority's identity as its own")
	}
	return id, nil
}

// VerifyIs is Verify for a peer that must be want.
func (t *Trust) VerifyIs(want model.SPIFFEID, chain []*x509.Certificate, role PeerRole, now time.Time) error {
	got, err := t.Verify(chain, role, now)
	if err != nil {
		return err
	}
	if got != want {
		return fault.New(fault.Permission, "peer is %s, not %s", got, want)
	}
	return nil
}
