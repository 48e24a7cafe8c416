package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"strings"

	"github.com/lictor-mesh/lictor/model/fault"
)

// KeyType is a family of keys, spelled as in the PrivateKeyType of the API.
type KeyType string

// The key types that the authority can make.
const (
	EC  KeyType = "ec"
	RSA KeyType = "rsa"
)

// KeyParams say what key to make. The zero value means the default, EC P-256.
type KeyParams struct {
	Type KeyType
	// Bits is the curve's size (224, 256, 384, 521) or the modulus's (2048 to 8192); 0 is the type's default.
	Bits int
}

const (
	minRSABits = 2048
	// maxRSABits bounds what a verifier can be made to compute.
	maxRSABits = 8192
	// minRSAExponent refuses the small exponents that padding mistakes break (FIPS 186-5, 5.1).
	minRSAExponent = 65537
)

// withDefaults fills in what is left open, and checks the rest; texts as the API records them.
func (p KeyParams) withDefaults() (KeyParams, error) {
	if p.Type == "" {
		p.Type = EC
	}
	switch p.Type {
	case EC:
		if p.Bits == 0 {
			p.Bits = 256
		}
		if curveOf(p.Bits) == nil {
			return p, fault.New(fault.Invalid, "EC key length must be one of (224, 256, 384, 521) bits")
		}
	case RSA:
		if p.Bits == 0 {
			p.Bits = minRSABits
		}
		if p.Bits < minRSABits || p.Bits > maxRSABits {
			return p, fault.New(fault.Invalid, "RSA key length must be at least %d bits", minRSABits).
				WithHint("PrivateKeyBits may be %d to %d", minRSABits, maxRSABits)
		}
	default:
		return p, fault.New(fault.Invalid, "private key type must be either 'ec' or 'rsa'")
	}
	return p, nil
}

// ForLeaf returns the parameters of a leaf's key below a root with these: TLS 1.3 knows no P-224.
func (p KeyParams) ForLeaf() KeyParams {
	if p.Type != RSA && p.Bits == 224 {
		p.Bits = 256
	}
	return p
}

func curveOf(bits int) elliptic.Curve {
	switch bits {
	case 224:
		return elliptic.P224()
	case 256:
		return elliptic.P256()
	case 384:
		return elliptic.P384()
	case 521:
		return elliptic.P521()
	}
	return nil
}

func newKey(random io.Reader, p KeyParams) (crypto.Signer, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	var key crypto.Signer
	if p.Type == RSA {
		key, err = rsa.GenerateKey(random, p.Bits)
	} else {
		key, err = ecdsa.GenerateKey(curveOf(p.Bits), random)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "making a private key: %v", err)
	}
	return key, nil
}

// paramsOf describes a public key, and refuses the ones that are too weak or of no known type.
func paramsOf(pub any) (KeyParams, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		bits := k.Curve.Params().BitSize
		if curveOf(bits) == nil {
			return KeyParams{}, fault.New(fault.Invalid, "EC key on an unknown curve of %d bits", bits)
		}
		return KeyParams{EC, bits}, nil
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		if bits < minRSABits || bits > maxRSABits || k.E < minRSAExponent {
			return KeyParams{}, fault.New(fault.Invalid, "RSA key of %d bits with exponent %d is too weak or too large", bits, k.E).
				WithHint("use EC P-256, or RSA of %d to %d bits with exponent %d", minRSABits, maxRSABits, minRSAExponent)
		}
		return KeyParams{RSA, bits}, nil
	}
	return KeyParams{}, fault.New(fault.Invalid, "key is neither EC nor RSA").WithHint("use EC P-256")
}

// leafKeyParams is paramsOf for a leaf, whose key must also do in TLS 1.3.
func leafKeyParams(pub any) (KeyParams, error) {
	p, err := paramsOf(pub)
	if err == nil && p != p.ForLeaf() {
		return p, fault.New(fault.Invalid, "EC key of %d bits is too weak for a leaf", p.Bits).WithHint("use EC P-256")
	}
	return p, err
}

// keyPEM writes a key as Consul's clients read it: SEC 1 for EC, PKCS#1 for RSA.
func keyPEM(key crypto.Signer) (string, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return "", fault.New(fault.Internal, "writing a private key: %v", err)
		}
		return pemBlock("EC PRIVATE KEY", der), nil
	case *rsa.PrivateKey:
		return pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), nil
	}
	return "", fault.New(fault.Internal, "private key of type %T", key)
}

// parseKey reads an EC or RSA key in SEC 1, PKCS#1 or PKCS#8. No error shows a part of the text.
func parseKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errNoPEM()
	}
	var key any
	var err error
	switch block.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fault.New(fault.Invalid, "PEM block is no private key").
			WithHint("an unencrypted EC or RSA key in SEC 1, PKCS#1 or PKCS#8 is needed")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "private key cannot be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Invalid, "private key is neither EC nor RSA")
	}
	if _, err := paramsOf(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// parseCert reads the one certificate that text holds.
func parseCert(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errNoPEM()
	}
	if block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.New(fault.Invalid, "exactly one CERTIFICATE PEM block is needed")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "certificate cannot be read: %v", err)
	}
	return cert, nil
}

func errNoPEM() error {
	return fault.New(fault.Invalid, "no PEM-encoded data found").
		WithHint("PEM text begins with -----BEGIN")
}

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// keyID is the subject key identifier of a public key: the SHA-256 of its SubjectPublicKeyInfo.
func keyID(pub any) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fault.New(fault.Internal, "writing a public key: %v", err)
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

// samePublicKey tells whether two public keys are equal.
func samePublicKey(a, b any) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// rootID is how the API names a root: an identifier, not a protection, hence SHA-1 does.
func rootID(der []byte) string {
	sum := sha1.Sum(der)
	return ColonHex(sum[:])
}

// ColonHex writes bytes as the API shows serials and key ids: "1a:2b", and "00" for none.
func ColonHex(b []byte) string {
	if len(b) == 0 {
		return "00"
	}
	const digits = "0123456789abcdef"
	var s strings.Builder
	s.Grow(3 * len(b))
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// Serial writes a certificate's serial number as the API shows it.
func Serial(n *big.Int) string { return ColonHex(n.Bytes()) }

// randomOr returns random, the system's source when there is none.
func randomOr(random io.Reader) io.Reader {
	if random == nil {
		return rand.Reader
	}
	return random
}
