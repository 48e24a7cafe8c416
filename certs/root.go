package certs

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// RootName is the Name of every root that the built-in authority holds, as recorded.
const RootName = "Consul CA Primary Cert"

// DefaultRootTTL is the life of a root, ten years.
const DefaultRootTTL = 87600 * time.Hour

// backdate is how far before its issue a long-lived certificate becomes valid, for hosts whose clocks are late.
const backdate = time.Minute

// RootParams say what root to make; the zero value is the default.
type RootParams struct {
	Key KeyParams
	// TTL is the root's life; 0 is DefaultRootTTL.
	TTL time.Duration
	// Serial is the root's serial number; 0 draws one that JSON's numbers hold exactly.
	Serial uint64
}

// NewRoot makes a self-signed root for the cluster with that UUID, active, with its signing key.
func NewRoot(random io.Reader, clusterID string, p RootParams, now time.Time) (*model.CARoot, *model.CAKey, error) {
	random = randomOr(random)
	td := model.TrustDomainOf(clusterID)
	if err := model.CASPIFFE(td).Validate(); err != nil {
		return nil, nil, fault.New(fault.Invalid, "cluster id %q makes no trust domain", clusterID).WithHint("a cluster id is a UUID")
	}
	if p.TTL == 0 {
		p.TTL = DefaultRootTTL
	}
	if p.Serial == 0 {
		var b [8]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, nil, fault.New(fault.Internal, "reading randomness: %v", err)
		}
		p.Serial = binary.BigEndian.Uint64(b[:])>>11 | 1
	}
	cn, err := rootCN(random, td)
	if err != nil {
		return nil, nil, err
	}
	key, err := newKey(random, p.Key)
	if err != nil {
		return nil, nil, err
	}
	ski, err := keyID(key.Public())
	if err != nil {
		return nil, nil, err
	}
	san, err := sanExtension(model.CASPIFFE(td), nil, false)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetUint64(p.Serial),
		Subject:               pkix.Name{CommonName: cn},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(p.TTL),
		KeyUsage:              caKeyUsage,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          ski,
		AuthorityKeyId:        ski,
		ExtraExtensions:       []pkix.Extension{san},
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "signing a root: %v", err)
	}
	return rootOf(der, key, clusterID)
}

const caKeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature

// rootCN is the recorded common name: pri-<8 random letters and digits>.consul.ca.<8 of the trust domain>.consul.
func rootCN(random io.Reader, td model.TrustDomain) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyz012345" // 32, so that a byte's low bits choose evenly
	var uid [8]byte
	if _, err := io.ReadFull(random, uid[:]); err != nil {
		return "", fault.New(fault.Internal, "reading randomness: %v", err)
	}
	for i := range uid {
		uid[i] = letters[uid[i]&31]
	}
	short := td.ClusterID()
	return "pri-" + string(uid[:]) + ".consul.ca." + short[:min(8, len(short))] + ".consul", nil
}

// rootOf describes a root certificate as the state keeps it.
func rootOf(der []byte, key crypto.Signer, clusterID string) (*model.CARoot, *model.CAKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "root certificate cannot be read: %v", err)
	}
	params, err := paramsOf(cert.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	keyText, err := keyPEM(key)
	if err != nil {
		return nil, nil, err
	}
	serial := cert.SerialNumber
	if !serial.IsUint64() { // an imported one may be longer; its low 64 bits are what the API can show
		serial = new(big.Int).And(serial, new(big.Int).SetUint64(^uint64(0)))
	}
	id := rootID(der)
	return &model.CARoot{
		ID:                  id,
		Name:                RootName,
		SerialNumber:        serial.Uint64(),
		SigningKeyID:        ColonHex(cert.SubjectKeyId),
		ExternalTrustDomain: strings.ToLower(clusterID),
		NotBefore:           cert.NotBefore,
		NotAfter:            cert.NotAfter,
		RootCert:            pemBlock("CERTIFICATE", der),
		Active:              true,
		PrivateKeyType:      string(params.Type),
		PrivateKeyBits:      params.Bits,
	}, &model.CAKey{RootID: id, KeyPEM: keyText}, nil
}

// ImportRoot takes over a root and key that the operator supplies (RootCert and PrivateKey of the API's
// Config). The certificate must be a self-signed authority that is valid now, whose key this is, and that
// names no trust domain but the cluster's.
func ImportRoot(clusterID, certPEM string, keyPEM model.Secret, now time.Time) (*model.CARoot, *model.CAKey, error) {
	key, err := parseKey(keyPEM.Reveal())
	if err != nil {
		return nil, nil, err
	}
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, nil, err
	}
	if err := checkImported(cert, key, model.TrustDomainOf(clusterID), now); err != nil {
		return nil, nil, err
	}
	return rootOf(cert.Raw, key, clusterID)
}

func checkImported(cert *x509.Certificate, key crypto.Signer, td model.TrustDomain, now time.Time) error {
	switch {
	case !samePublicKey(key.Public(), cert.PublicKey):
		return fault.New(fault.Invalid, "PrivateKey is not the key of RootCert")
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return fault.New(fault.Invalid, "RootCert is no certificate authority").
			WithHint("it needs basicConstraints CA:TRUE and keyUsage keyCertSign")
	case len(cert.SubjectKeyId) == 0:
		return fault.New(fault.Invalid, "RootCert has no subject key identifier")
	case now.Before(cert.NotBefore) || !now.Before(cert.NotAfter):
		return fault.New(fault.Invalid, "RootCert is valid from %s to %s only",
			cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
	case cert.CheckSignatureFrom(cert) != nil:
		return fault.New(fault.Invalid, "RootCert is not self-signed").WithHint("supply the root, not an intermediate")
	}
	if hasSAN(cert.Extensions) {
		id, err := identityOf(cert.Extensions)
		if err != nil || id != model.CASPIFFE(td) {
			return fault.New(fault.Invalid, "RootCert names another identity than %s", model.CASPIFFE(td)).
				WithHint("leave its subject alternative names out, or name the cluster's trust domain")
		}
	}
	return nil
}

func hasSAN(extensions []pkix.Extension) bool {
	for _, e := range extensions {
		if e.Id.Equal(oidSAN()) {
			return true
		}
	}
	return false
}

// Bundle returns the PEM of all the roots, the active one first: what a peer has to trust.
func Bundle(roots *model.CARoots) string {
	var b strings.Builder
	for _, active := range []bool{true, false} {
		for _, r := range roots.Roots {
			if (r.ID == roots.ActiveRootID) == active {
				b.WriteString(r.RootCert)
			}
		}
	}
	return b.String()
}
