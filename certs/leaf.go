package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// LeafRequest is a key that was made here and the request to certify it.
type LeafRequest struct {
	Key model.Secret
	// CSR is the PEM of the request: an empty subject, one URI, no extension else.
	CSR string
}

// NewLeafRequest makes a key and a request for id. dns are the names that servers add; services have none.
func NewLeafRequest(random io.Reader, id model.SPIFFEID, dns []string, p KeyParams) (LeafRequest, error) {
	random = randomOr(random)
	if err := id.Validate(); err != nil {
		return LeafRequest{}, err
	}
	key, err := newKey(random, p.ForLeaf())
	if err != nil {
		return LeafRequest{}, err
	}
	keyText, err := keyPEM(key)
	if err != nil {
		return LeafRequest{}, err
	}
	san, err := sanExtension(id, dns, true)
	if err != nil {
		return LeafRequest{}, err
	}
	der, err := x509.CreateCertificateRequest(random, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{san}}, key)
	if err != nil {
		return LeafRequest{}, fault.New(fault.Internal, "making a certificate request: %v", err)
	}
	return LeafRequest{Key: model.NewSecret(keyText), CSR: pemBlock("CERTIFICATE REQUEST", der)}, nil
}

// maxCSR bounds a request before it is parsed; one for an RSA key of 8192 bits has 3 KiB.
const maxCSR = 16 << 10

// LeafSpec is what a leaf is to say. None of it comes from the request.
type LeafSpec struct {
	// ID is the identity that was decided to be issued.
	ID model.SPIFFEID
	// DNS are names that a server's leaf carries beside it.
	DNS []string
	// TTL is the time from issue to end; the root's own end cuts it short.
	TTL time.Duration
	// Serial is unique below the root, and not 0.
	Serial uint64
}

// Signer signs leaves with one root's key.
type Signer struct {
	root *model.CARoot
	cert *x509.Certificate
	key  crypto.Signer
}

// NewSigner reads a root and its key once for many leaves.
func NewSigner(root *model.CARoot, key *model.CAKey) (*Signer, error) {
	if root.ID != key.RootID {
		return nil, fault.New(fault.Internal, "key of root %s given for root %s", key.RootID, root.ID)
	}
	cert, err := parseCert(root.RootCert)
	if err != nil {
		return nil, err
	}
	signer, err := parseKey(key.KeyPEM)
	if err != nil {
		return nil, err
	}
	if !samePublicKey(signer.Public(), cert.PublicKey) {
		return nil, fault.New(fault.Invalid, "the key kept for root %s is not its key", root.ID)
	}
	return &Signer{root: root, cert: cert, key: signer}, nil
}

// SignLeaf is NewSigner and Signer.Sign in one, for a single leaf.
func SignLeaf(random io.Reader, root *model.CARoot, key *model.CAKey, csrPEM string, spec LeafSpec, now time.Time) (*model.LeafCert, error) {
	s, err := NewSigner(root, key)
	if err != nil {
		return nil, err
	}
	return s.Sign(random, csrPEM, spec, now)
}

// Sign certifies the key of a request for spec.ID. The request must ask for exactly that. The result has
// no private key: its owner adds it.
func (s *Signer) Sign(random io.Reader, csrPEM string, spec LeafSpec, now time.Time) (*model.LeafCert, error) {
	if err := spec.ID.Validate(); err != nil {
		return nil, err
	}
	switch {
	case spec.ID.Kind == model.SPIFFECA:
		return nil, fault.New(fault.Permission, "no leaf is issued for the authority's own identity")
	case string(spec.ID.TrustDomain) != string(model.TrustDomainOf(s.root.ExternalTrustDomain)):
		return nil, fault.New(fault.Permission, "identity %s is not of the authority's trust domain %s", spec.ID, s.root.ExternalTrustDomain)
	case spec.TTL <= 0 || spec.Serial == 0:
		return nil, fault.New(fault.Internal, "leaf with TTL %s and serial %d", spec.TTL, spec.Serial)
	case !now.Before(s.cert.NotAfter):
		return nil, fault.New(fault.Unavailable, "root %s ended at %s", s.root.ID, s.cert.NotAfter.Format(time.RFC3339)).
			WithHint("rotate the root: PUT /v1/connect/ca/configuration")
	}
	san, err := sanExtension(spec.ID, spec.DNS, true)
	if err != nil {
		return nil, err
	}
	csr, err := checkRequest(csrPEM, spec.ID, san)
	if err != nil {
		return nil, err
	}
	ski, err := keyID(csr.PublicKey)
	if err != nil {
		return nil, err
	}
	after := s.cert.NotAfter
	if end := now.Add(spec.TTL); end.Before(after) {
		after = end
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetUint64(spec.Serial),
		NotBefore:    now.Add(-LeafBackdate(spec.TTL)),
		NotAfter:     after,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          ski,
		AuthorityKeyId:        s.cert.SubjectKeyId,
		ExtraExtensions:       []pkix.Extension{san},
	}
	der, err := x509.CreateCertificate(randomOr(random), template, s.cert, csr.PublicKey, s.key)
	if err != nil {
		return nil, fault.New(fault.Internal, "signing a leaf for %s: %v", spec.ID, err)
	}
	return s.leafOf(der, spec)
}

func (s *Signer) leafOf(der []byte, spec LeafSpec) (*model.LeafCert, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Internal, "reading back a leaf for %s: %v", spec.ID, err)
	}
	return &model.LeafCert{
		SerialNumber: Serial(cert.SerialNumber),
		CertPEM:      pemBlock("CERTIFICATE", der) + strings.Join(s.root.IntermediateCerts, ""),
		Service:      spec.ID.Service,
		ServiceURI:   spec.ID.String(),
		ValidAfter:   cert.NotBefore,
		ValidBefore:  cert.NotAfter,
		RootID:       s.root.ID,
	}, nil
}

// LeafBackdate is how far before its issue a leaf becomes valid: enough for clocks that are late, and little beside its life.
func LeafBackdate(ttl time.Duration) time.Duration { return min(backdate, ttl/10) }

// checkRequest reads a request and refuses it unless it asks for exactly the identity in san, with a key
// that is strong enough and that its sender holds.
func checkRequest(csrPEM string, id model.SPIFFEID, san pkix.Extension) (*x509.CertificateRequest, error) {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.Permission, "certificate request for %s: %s", id, fmt.Sprintf(format, args...))
	}
	if len(csrPEM) > maxCSR {
		return nil, fault.New(fault.TooLarge, "certificate request of %d bytes, the longest is %d", len(csrPEM), maxCSR)
	}
	block, rest := pem.Decode([]byte(csrPEM))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.New(fault.BadRequest, "certificate request is not one CERTIFICATE REQUEST PEM block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "certificate request cannot be read: %v", err)
	}
	if !bytes.Equal(csr.RawSubject, []byte{0x30, 0}) {
		return nil, refuse("it has a subject; leave it empty")
	}
	if len(csr.URIs) != 1 {
		return nil, refuse("it names %d URIs, it must name one", len(csr.URIs))
	}
	if !onlySAN(csr.Extensions, san) {
		return nil, refuse("it asks for another identity, or for names or extensions beside it")
	}
	if _, err := leafKeyParams(csr.PublicKey); err != nil {
		return nil, err
	}
	if !slices.Contains(proofAlgorithms(), csr.SignatureAlgorithm) {
		return nil, refuse("it is signed with %s; use SHA-256 or better", csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, refuse("its sender does not hold the private key")
	}
	return csr, nil
}

// proofAlgorithms are the signatures taken as proof of possession (x509.CheckSignature would take SHA-1 too).
func proofAlgorithms() []x509.SignatureAlgorithm {
	return []x509.SignatureAlgorithm{
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
		x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	}
}
