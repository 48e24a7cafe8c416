// Package identity is who a proxy is and whom it believes: SPIFFE ids, the proxy's own certificate, the set of
// roots, and the verification of a peer's chain against them.
//
// It refuses a peer whose certificate has not exactly one URI name, whose name is not a SPIFFE id, or whose trust
// domain is not the verifier's own. See the SPIFFE X.509-SVID specification.
package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// ID is a SPIFFE id: spiffe://TRUST-DOMAIN/PATH.
type ID string

// maxID is the longest id that the specification lets a verifier be asked to take.
const maxID = 2048

// ParseID checks that text is a SPIFFE id: a trust domain and a path, and nothing else that a URL may have.
func ParseID(text string) (ID, error) {
	if len(text) > maxID {
		return "", fault.New(fault.Invalid, "a SPIFFE id has at most %d bytes, this has %d", maxID, len(text))
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fault.New(fault.Invalid, "%q is not a SPIFFE id", text)
	}
	if u.Scheme != "spiffe" || u.Host == "" || u.Port() != "" || u.User != nil || len(u.Path) < 2 ||
		u.RawQuery != "" || u.Fragment != "" || !strings.HasPrefix(text, "spiffe://") {
		return "", fault.New(fault.Invalid, "%q is not a SPIFFE id", text)
	}
	return ID(text), nil
}

// TrustDomain is the part between the scheme and the path.
func (id ID) TrustDomain() string {
	rest := strings.TrimPrefix(string(id), "spiffe://")
	domain, _, _ := strings.Cut(rest, "/")
	return domain
}

// Service is the service that the id names (the element after /svc/), empty where it names none.
func (id ID) Service() model.ServiceName {
	_, after, _ := strings.Cut(string(id), "/svc/")
	name, _, _ := strings.Cut(after, "/")
	return model.ServiceName(name)
}

// Identity is a proxy's own certificate with its key.
type Identity struct {
	Certificate tls.Certificate
	ID          ID
	NotAfter    time.Time
	// Serial is the certificate's serial number, in hex with colons.
	Serial string
}

// ParseIdentity reads a PEM chain, leaf first, and its key. An error never quotes the key.
func ParseIdentity(chain, key []byte) (*Identity, error) {
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fault.New(fault.Invalid, "certificate and key: %v", err)
	}
	id, err := Of(cert.Leaf)
	if err != nil {
		return nil, err
	}
	return &Identity{Certificate: cert, ID: id, NotAfter: cert.Leaf.NotAfter, Serial: serial(cert.Leaf)}, nil
}

func serial(c *x509.Certificate) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i, octet := range c.SerialNumber.Bytes() {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteByte(digits[octet>>4])
		b.WriteByte(digits[octet&15])
	}
	return b.String()
}

// Of returns the id that a certificate carries. It says nothing about who vouches for it.
func Of(leaf *x509.Certificate) (ID, error) {
	if len(leaf.URIs) != 1 {
		return "", fault.New(fault.Permission, "the certificate has %d URI names, a mesh certificate has exactly one", len(leaf.URIs))
	}
	return ParseID(leaf.URIs[0].String())
}

// verifiedChains bounds how many verified chains a Roots remembers.
const verifiedChains = 1024

// Roots is a set of root certificates. While a root is being rotated, it holds the old and the new one. It
// remembers the chains that it has verified: the peers of a proxy are few, and verifying a chain costs as much as a
// third of the handshake. What is remembered dies with the set, and with the chain's shortest validity.
type Roots struct {
	pool  *x509.CertPool
	count int
	mu    sync.Mutex
	known map[[sha256.Size]byte]verified
}

type verified struct {
	id                  ID
	notBefore, notAfter time.Time
}

// ParseRoots reads one or more PEM certificates.
func ParseRoots(text []byte) (*Roots, error) {
	r := &Roots{pool: x509.NewCertPool(), known: make(map[[sha256.Size]byte]verified)}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.Invalid, "the roots have a PEM block of type %q", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Invalid, "root certificate %d: %v", r.count+1, err)
		}
		r.pool.AddCert(cert)
		r.count++
	}
	if r.count == 0 {
		return nil, fault.New(fault.Invalid, "the set of roots has no certificate")
	}
	return r, nil
}

// Len is the number of certificates in the set.
func (r *Roots) Len() int { return r.count }

// Verify checks a peer's chain, leaf first, for usage at the time now, and returns who the peer is. trustDomain is
// the verifier's own.
func (r *Roots) Verify(chain []*x509.Certificate, usage x509.ExtKeyUsage, trustDomain string, now time.Time) (ID, error) {
	if len(chain) == 0 {
		return "", fault.New(fault.Permission, "the peer showed no certificate")
	}
	key := chainKey(chain, usage)
	r.mu.Lock()
	v, ok := r.known[key]
	r.mu.Unlock()
	if !ok || now.Before(v.notBefore) || now.After(v.notAfter) {
		var err error
		if v, err = r.verify(chain, usage, now); err != nil {
			return "", err
		}
		r.mu.Lock()
		if len(r.known) >= verifiedChains {
			clear(r.known)
		}
		r.known[key] = v
		r.mu.Unlock()
	}
	if got := v.id.TrustDomain(); got != trustDomain {
		return "", fault.New(fault.Permission, "the peer %q is of another trust domain than %q", v.id, trustDomain)
	}
	return v.id, nil
}

func chainKey(chain []*x509.Certificate, usage x509.ExtKeyUsage) (key [sha256.Size]byte) {
	h := sha256.New()
	h.Write([]byte{byte(usage)})
	for _, c := range chain {
		// DER says its own length, so concatenation is unambiguous.
		h.Write(c.Raw)
	}
	h.Sum(key[:0])
	return key
}

func (r *Roots) verify(chain []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) (verified, error) {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{Roots: r.pool, Intermediates: intermediates,
		CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return verified{}, fault.New(fault.Permission, "the peer's certificate: %w", err)
	}
	id, err := Of(chain[0])
	if err != nil {
		return verified{}, err
	}
	v := verified{id: id, notBefore: chains[0][0].NotBefore, notAfter: chains[0][0].NotAfter}
	for _, c := range chains[0] {
		if c.NotBefore.After(v.notBefore) {
			v.notBefore = c.NotBefore
		}
		if c.NotAfter.Before(v.notAfter) {
			v.notAfter = c.NotAfter
		}
	}
	return v, nil
}
