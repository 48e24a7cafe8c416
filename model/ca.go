package model

import "time"

// CARoot is one root certificate of the mesh's authority. There is a set of them, one active: while a
// rotation is under way leaves of both are trusted.
type CARoot struct {
	// ID is the SHA-1 of the certificate in colon-separated hex.
	ID           string `msg:"id"`
	Name         string `msg:"n"`
	SerialNumber uint64 `msg:"sn"`
	// SigningKeyID is the subject key id in colon-separated hex.
	SigningKeyID string `msg:"sk"`
	// ExternalTrustDomain is the cluster's UUID, which with ".consul" is the trust domain.
	ExternalTrustDomain string    `msg:"td"`
	NotBefore           time.Time `msg:"nb"`
	NotAfter            time.Time `msg:"na"`
	// RootCert and IntermediateCerts are PEM blocks, each ending in a newline.
	RootCert          string      `msg:"rc"`
	IntermediateCerts []string    `msg:"ic,omitempty"`
	Active            bool        `msg:"ac"`
	RotatedOutAt      time.Time   `msg:"ro,omitempty"`
	PrivateKeyType    string      `msg:"kt"`
	PrivateKeyBits    int         `msg:"kb"`
	RaftIndexes       RaftIndexes `msg:"ix,omitempty"`
}

// CARoots is the set of trusted roots.
type CARoots struct {
	ActiveRootID string    `msg:"a"`
	TrustDomain  string    `msg:"td"`
	Roots        []*CARoot `msg:"r"`
}

// CAConfig is the configuration of the authority as an operator sets it. It holds no private key.
type CAConfig struct {
	Provider string `msg:"p"`
	// Config is the provider's own, CamelCase keys as in the HTTP API reference.
	Config      map[string]any `msg:"c,omitempty"`
	ClusterID   string         `msg:"id"`
	RaftIndexes RaftIndexes    `msg:"ix,omitempty"`
}

// CAKey is the built-in provider's signing key for one root: the only place where a private key of the
// authority lives. No API shows it.
type CAKey struct {
	RootID string `msg:"id"`
	// KeyPEM is the PKCS#8 or SEC 1 PEM of the key.
	KeyPEM string `msg:"k"`
}

// LeafCert is a certificate of a service with the key that the agent made for it.
type LeafCert struct {
	// SerialNumber is colon-separated hex.
	SerialNumber string `msg:"sn"`
	// CertPEM is the chain: leaf first, then intermediates.
	CertPEM       string      `msg:"c"`
	PrivateKeyPEM Secret      `msg:"-"`
	Service       ServiceName `msg:"s"`
	ServiceURI    string      `msg:"u"`
	ValidAfter    time.Time   `msg:"va"`
	ValidBefore   time.Time   `msg:"vb"`
	RootID        string      `msg:"ri,omitempty"`
	RaftIndexes   RaftIndexes `msg:"ix,omitempty"`
}
