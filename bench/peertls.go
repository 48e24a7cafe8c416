package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// What peers are held to, which is what two native sidecars agree on: TLS 1.3 alone, AES-128-GCM, key exchange on
// P-256, certificates on P-256 that one root signed, both sides verified, and a full handshake for each connection
// where resumption is not what is measured.
const (
	tlsSuite = "TLS_AES_128_GCM_SHA256"
	tlsGroup = "P-256"
	tlsNote  = "All pairs use TLS 1.3 with " + tlsSuite + ", P-256 for key exchange and certificates, and verify both sides; " +
		"Lictor checks SPIFFE ids and intentions besides."
)

// peerFiles are the PEM files of a peer's pair.
type peerFiles struct {
	root string
	// One certificate for each end, its key, and both in one file.
	clientCert, clientKey, clientBoth string
	serverCert, serverKey, serverBoth string
	// openssl configures the library for programs that cannot choose the client's groups.
	openssl string
}

// newPeerFiles makes a root and two leaves below dir.
func newPeerFiles(dir string) (*peerFiles, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	f := &peerFiles{
		root:       at("root.pem"),
		clientCert: at("client.pem"), clientKey: at("client.key"), clientBoth: at("client.both"),
		serverCert: at("server.pem"), serverKey: at("server.key"), serverBoth: at("server.both"),
		openssl: at("openssl.cnf"),
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(f.root, block("CERTIFICATE", der)); err != nil {
		return nil, err
	}
	if err := writeLeaf(root, key, "web", f.clientCert, f.clientKey, f.clientBoth); err != nil {
		return nil, err
	}
	if err := writeLeaf(root, key, "db", f.serverCert, f.serverKey, f.serverBoth); err != nil {
		return nil, err
	}
	// Groups there are what a client sends a key share of; the other end offers the same.
	config := "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nGroups = " + tlsGroup + "\n"
	return f, os.WriteFile(f.openssl, []byte(config), 0o644)
}

// writeLeaf makes a certificate like those of the mesh: the service is a SPIFFE id.
func writeLeaf(root *x509.Certificate, signer *ecdsa.PrivateKey, service, cert, key, both string) error {
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	id := &url.URL{Scheme: "spiffe", Host: "bench.lictor", Path: "/ns/default/dc/dc1/svc/" + service}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: service}, DNSNames: []string{service}, URIs: []*url.URL{id},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, signer)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return err
	}
	c, k := block("CERTIFICATE", der), block("PRIVATE KEY", keyDER)
	for file, blocks := range map[string][]*pem.Block{cert: {c}, key: {k}, both: {c, k}} {
		if err := writePEM(file, blocks...); err != nil {
			return err
		}
	}
	return nil
}

func block(kind string, der []byte) *pem.Block { return &pem.Block{Type: kind, Bytes: der} }

func writePEM(file string, blocks ...*pem.Block) error {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	return os.WriteFile(file, text, 0o600)
}
