// Package tunnel is the mutual TLS between proxies: TLS 1.3 with the SPIFFE ids of both ends verified.
//
// Two native proxies agree on the ALPN "lictor/1": after the handshake the server sends a verdict before any byte of
// the application flows, because in TLS 1.3 a client is done before the server has looked at its certificate. A client
// that reads a refusal, or nothing, knows that nothing was taken and may go elsewhere. Peers without that ALPN, such
// as Envoy, are spoken to in plain TLS, and are refused by an alert. A later version of the protocol takes another
// name ("lictor/2") before this one in the list.
//
// Certificates are read at each handshake, so that a rotation touches no listener and no open connection. There is no
// way to dial without naming the SPIFFE ids of which the peer must show one. Session tickets are off: a resumed
// session would show an old certificate, and skip the checks.
package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/carry"
	"github.com/lictor-mesh/lictor/proxy/identity"
)

// Native is the ALPN of this version.
const Native = "lictor/1"

// Credentials are what a proxy shows and whom it believes, at the moment of each call; nil where it has none yet.
type Credentials struct {
	Leaf  func() *identity.Identity
	Roots func() *identity.Roots
}

// Conn is an established tunnel.
type Conn struct {
	TLS    *tls.Conn
	Socket *carry.Socket
	// Peer is who the other end proved to be.
	Peer identity.ID
	// Native tells that the peer speaks the native protocol: a verdict comes first.
	Native bool
}

// End makes the tunnel an end to be carried.
func (c *Conn) End() *carry.End { return carry.Secure(c.TLS, c.Socket) }

// The key exchanges. A native client offers P-256 alone: every TLS 1.3 peer must have it (RFC 8446, section 9.1), the
// certificates rest on it anyway, and in Go it takes a fifth less time than X25519, which crypto/tls would otherwise
// prefer whatever the order here. A server takes both, since X25519 is what Envoy offers first. X25519MLKEM768 would
// cost a quarter of the handshakes per second, and is left to a policy that asks for it.
func clientCurves() []tls.CurveID { return []tls.CurveID{tls.CurveP256} }

func serverCurves() []tls.CurveID { return []tls.CurveID{tls.CurveP256, tls.X25519} }

func base(curves []tls.CurveID) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		MaxVersion:                  tls.VersionTLS13,
		CurvePreferences:            curves,
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}
}

// verify checks the peer's chain and returns who it is.
func (c *Credentials) verify(chain []*x509.Certificate, usage x509.ExtKeyUsage) (identity.ID, error) {
	leaf, roots := c.Leaf(), c.Roots()
	if leaf == nil || roots == nil {
		return "", notYet()
	}
	return roots.Verify(chain, usage, leaf.ID.TrustDomain(), time.Now())
}

func (c *Credentials) certificate() (*tls.Certificate, error) {
	leaf := c.Leaf()
	if leaf == nil {
		return nil, notYet()
	}
	return &leaf.Certificate, nil
}

func notYet() error {
	return fault.New(fault.Unavailable, "the proxy has no certificate or no roots yet")
}

// Server accepts tunnels on a public listener.
type Server struct {
	creds  Credentials
	admit  func(identity.ID) error
	config *tls.Config
}

// NewServer makes the server side. admit is asked during the handshake about peers that are not native; of native ones
// the caller of Handshake decides, so that they can be told why. alpn is what other peers may negotiate.
func NewServer(creds Credentials, alpn []string, admit func(identity.ID) error) *Server {
	s := &Server{creds: creds, admit: admit}
	variant := func(protocols ...string) *tls.Config {
		c := base(serverCurves())
		c.ClientAuth = tls.RequireAnyClientCert // the chain is verified in VerifyConnection, against the current roots
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return creds.certificate() }
		c.VerifyConnection = s.verifyConnection
		c.NextProtos = protocols
		return c
	}
	native, other, none := variant(Native), variant(alpn...), variant()
	s.config = variant()
	s.config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		offers := func(p string) bool { return slices.Contains(hello.SupportedProtos, p) }
		switch {
		case offers(Native):
			return native, nil
		case slices.ContainsFunc(alpn, offers):
			return other, nil
		}
		// crypto/tls refuses a client that offers only what the server does not have; Envoy would go on without.
		return none, nil
	}
	return s
}

func (s *Server) verifyConnection(state tls.ConnectionState) error {
	id, err := s.creds.verify(state.PeerCertificates, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return err
	}
	if state.NegotiatedProtocol == Native {
		return nil
	}
	return s.admit(id)
}

// Handshake makes a tunnel of an accepted connection, within the given time. On an error the connection is still
// open: the caller closes it.
func (s *Server) Handshake(raw net.Conn, timeout time.Duration) (*Conn, error) {
	socket := carry.NewSocket(raw)
	return handshake(tls.Server(socket, s.config), socket, timeout)
}

// Client dials the endpoints of one cluster.
type Client struct {
	config *tls.Config
}

// NewClient makes the client side. expected are the ids of which the peer must show one; without any there is no
// client, but an error of kind fault.Invalid.
func NewClient(creds Credentials, expected []identity.ID, serverName string, alpn []string) (*Client, error) {
	if len(expected) == 0 {
		return nil, fault.New(fault.Invalid, "a tunnel needs the SPIFFE ids of its peer")
	}
	c := base(clientCurves())
	c.ServerName = serverName
	c.InsecureSkipVerify = true // names are SPIFFE ids, which VerifyConnection checks together with the chain
	c.NextProtos = append([]string{Native}, alpn...)
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return creds.certificate() }
	c.VerifyConnection = func(state tls.ConnectionState) error {
		id, err := creds.verify(state.PeerCertificates, x509.ExtKeyUsageServerAuth)
		if err != nil {
			return err
		}
		if !slices.Contains(expected, id) {
			return fault.New(fault.Permission, "the peer is %q, not %q", id, expected)
		}
		return nil
	}
	return &Client{c}, nil
}

// Handshake makes a tunnel of a connection that was dialled, within the given time. On an error the connection is
// still open: the caller closes it.
func (c *Client) Handshake(raw net.Conn, timeout time.Duration) (*Conn, error) {
	socket := carry.NewSocket(raw)
	return handshake(tls.Client(socket, c.config), socket, timeout)
}

func handshake(c *tls.Conn, socket *carry.Socket, timeout time.Duration) (*Conn, error) {
	// A deadline instead of a context: it needs no goroutine of its own.
	if err := socket.Conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	if err := socket.Conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	state := c.ConnectionState()
	peer, err := identity.Of(state.PeerCertificates[0])
	if err != nil {
		return nil, err
	}
	return &Conn{TLS: c, Socket: socket, Peer: peer, Native: state.NegotiatedProtocol == Native}, nil
}
