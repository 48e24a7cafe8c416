package rpc

import (
	"crypto/rand"
	"crypto/tls"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

const cluster = "11111111-2222-3333-4444-555555555555"

// mesh is an authority with its trust, for both sides of a handshake.
type mesh struct {
	root  *model.CARoot
	key   *model.CAKey
	trust *certs.Trust
}

func newMesh(t *testing.T) mesh {
	t.Helper()
	root, key, err := certs.NewRoot(rand.Reader, cluster, certs.RootParams{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trust, err := certs.NewTrust(&model.CARoots{TrustDomain: string(model.TrustDomainOf(cluster)), Roots: []*model.CARoot{root}})
	if err != nil {
		t.Fatal(err)
	}
	return mesh{root, key, trust}
}

func (m mesh) certificate(t *testing.T, id model.SPIFFEID) tls.Certificate {
	t.Helper()
	req, err := certs.NewLeafRequest(rand.Reader, id, nil, certs.KeyParams{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := certs.SignLeaf(rand.Reader, m.root, m.key, req.CSR, certs.LeafSpec{ID: id, TTL: time.Hour, Serial: 1}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(req.Key.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (m mesh) client(t *testing.T, as, of model.SPIFFEID, addr string) *Client {
	t.Helper()
	pair := m.certificate(t, as)
	pool := NewPool(PoolConfig{TLS: func(string) (*tls.Config, error) {
		return &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, // VerifyConnection does it
			VerifyConnection: func(s tls.ConnectionState) error {
				return m.trust.VerifyIs(of, s.PeerCertificates, certs.PeerIsServer, time.Now())
			},
		}, nil
	}})
	t.Cleanup(func() { _ = pool.Close() })
	servers := NewServers(func(int) int { return 0 })
	servers.Set([]ServerAddr{{Addr: addr}})
	return NewClient(ClientConfig{Pool: pool, Route: func(string) (*Servers, error) { return servers, nil }, Hold: 100 * time.Millisecond, Attempt: 5 * time.Second})
}

func TestBothSidesAreVerifiedOverTLS(t *testing.T) {
	m := newMesh(t)
	td := model.TrustDomainOf(cluster)
	server, agent, service := model.ServerSPIFFE(td, "dc1"), model.ClientSPIFFE(td, "dc1", "n1"), model.ServiceSPIFFE(td, "dc1", "web")
	p := serve(t, ServerConfig{
		TLS: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{m.certificate(t, server)},
			ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
			VerifyConnection: func(s tls.ConnectionState) error {
				_, err := m.trust.Verify(s.PeerCertificates, certs.PeerIsClient, time.Now())
				return err
			},
		},
		Authorize: func(c Caller) error {
			id, err := m.trust.Verify(c.TLS.PeerCertificates, certs.PeerIsClient, time.Now())
			if err == nil && id.Kind == model.SPIFFEService {
				err = fault.New(fault.Permission, "%s is no agent", id)
			}
			return err
		},
		Handler: answers{sign: func(*SignRequest) (*SignReply, error) { return &SignReply{}, nil }},
	})
	ask := func(c *Client) error { _, err := c.Sign(t.Context(), &SignRequest{}); return err }
	if err := ask(m.client(t, agent, server, p.addr)); err != nil {
		t.Errorf("an agent: %v", err)
	}
	if err := ask(m.client(t, service, server, p.addr)); !fault.Is(err, fault.Permission) {
		t.Errorf("a service's certificate: %s, %v", fault.KindOf(err), err)
	}
	if err := ask(m.client(t, agent, service, p.addr)); err == nil {
		t.Error("the server was taken for a service")
	}
	if err := ask(newMesh(t).client(t, agent, server, p.addr)); err == nil {
		t.Error("another authority's certificate was taken")
	}
	plain, _ := clientOf(t, 100*time.Millisecond, p.addr)
	if err := ask(plain); err == nil {
		t.Error("a plain connection was taken")
	}
}
