package demo

import (
	"crypto/rand"
	"time"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/model"
)

// foreignLeaf makes an authority of its own and a leaf of it.
func foreignLeaf() (*model.LeafCert, error) {
	const cluster = "00000000-aaaa-bbbb-cccc-dddddddddddd"
	now := time.Now()
	root, key, err := certs.NewRoot(rand.Reader, cluster, certs.RootParams{}, now)
	if err != nil {
		return nil, err
	}
	id := model.ServiceSPIFFE(model.TrustDomainOf(cluster), "dc1", "web")
	request, err := certs.NewLeafRequest(rand.Reader, id, nil, certs.KeyParams{})
	if err != nil {
		return nil, err
	}
	leaf, err := certs.SignLeaf(rand.Reader, root, key, request.CSR, certs.LeafSpec{ID: id, TTL: time.Hour, Serial: 1}, now)
	if err != nil {
		return nil, err
	}
	leaf.PrivateKeyPEM = request.Key
	return leaf, nil
}
