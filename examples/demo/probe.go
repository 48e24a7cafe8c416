package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/model"
)

// peer is who answered at a sidecar's public port.
type peer struct{ uri, serial string }

// dialAsWeb makes a connection to api's sidecar with web's certificate, and returns whose certificate the
// sidecar showed. The chain is verified against the roots, and the protocol is TLS 1.3.
func (m *Mesh) dialAsWeb(ctx context.Context) (peer, error) {
	leaf, _, err := m.client.Agent().ConnectCALeaf("web", nil)
	if err != nil {
		return peer{}, fmt.Errorf("web's certificate: %w", err)
	}
	cert, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
	if err != nil {
		return peer{}, err
	}
	trust, err := m.trust()
	if err != nil {
		return peer{}, err
	}
	var found peer
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		InsecureSkipVerify: true, // the name in the certificate is a SPIFFE id, which VerifyConnection checks
		VerifyConnection: func(s tls.ConnectionState) error {
			id, err := trust.Verify(s.PeerCertificates, certs.PeerIsServer, time.Now())
			found = peer{id.String(), certs.Serial(s.PeerCertificates[0].SerialNumber)}
			return err
		},
	}
	d := tls.Dialer{Config: config}
	c, err := d.DialContext(ctx, "tcp", loopback(m.layout.Public[apiAt]))
	if err != nil {
		return peer{}, fmt.Errorf("api's sidecar with web's certificate: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := probeHTTP(c); err != nil {
		return peer{}, fmt.Errorf("api through its sidecar with web's certificate: %w", err)
	}
	if !strings.HasSuffix(found.uri, "/svc/api") {
		return peer{}, fmt.Errorf("api's sidecar says it is %s", found.uri)
	}
	return found, nil
}

func (m *Mesh) trust() (*certs.Trust, error) {
	list, _, err := m.client.Agent().ConnectCARoots(nil)
	if err != nil {
		return nil, fmt.Errorf("the mesh's roots: %w", err)
	}
	roots := &model.CARoots{ActiveRootID: list.ActiveRootID, TrustDomain: list.TrustDomain}
	for _, r := range list.Roots {
		roots.Roots = append(roots.Roots, &model.CARoot{ID: r.ID, RootCert: r.RootCertPEM, Active: r.Active})
	}
	return certs.NewTrust(roots)
}

func probeHTTP(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(c, "GET /health HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		return errors.Join(fmt.Errorf("the answer was %q", answer), err)
	}
	return nil
}

// strangersFail tries api's public port without a certificate, with one of another authority, and without TLS.
func (m *Mesh) strangersFail(ctx context.Context) error {
	address := loopback(m.layout.Public[apiAt])
	foreign, err := foreignCertificate()
	if err != nil {
		return err
	}
	for name, config := range map[string]*tls.Config{
		"without a certificate": {InsecureSkipVerify: true}, "with another mesh's certificate": {InsecureSkipVerify: true, Certificates: []tls.Certificate{foreign}},
	} {
		d := tls.Dialer{Config: config}
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			continue
		}
		// In TLS 1.3 the client is done before the server has refused it: the first read tells.
		err = probeHTTP(c)
		_ = c.Close()
		if err == nil {
			return fmt.Errorf("api's sidecar served a client %s", name)
		}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if probeHTTP(c) == nil {
		return errors.New("api's sidecar served a client without TLS")
	}
	return nil
}

// held is a connection that is kept open and watched.
type held struct {
	conn   net.Conn
	closed chan time.Time
}

// hold opens a connection, sends one request, waits for the answer to begin, and then watches for the end.
func (m *Mesh) hold(ctx context.Context, port int, request string) (*held, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", loopback(port))
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	_, err = io.WriteString(c, request)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_, err = c.Read(buf)
		_ = c.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	h := &held{c, make(chan time.Time, 1)}
	go func() {
		for {
			if _, err := c.Read(buf); err != nil {
				h.closed <- time.Now()
				return
			}
		}
	}()
	return h, nil
}

// closedBy returns nil when the other side has closed the connection by t.
func (h *held) closedBy(t time.Time) error {
	select {
	case at := <-h.closed:
		if at.After(t) {
			return fmt.Errorf("closed %s late", at.Sub(t).Round(time.Millisecond))
		}
		return nil
	case <-time.After(time.Until(t)):
		return errors.New("still open")
	}
}

func (h *held) close() { _ = h.conn.Close() }

// denialIsNamed looks for the denial in the log and the metrics of api's sidecar, and returns the metric.
func (m *Mesh) denialIsNamed(ctx context.Context) (string, error) {
	log, err := os.ReadFile(m.process("sidecar-" + instances[apiAt]).log)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(strings.Split(string(log), "\n"), namesDenial) {
		return "", errors.New("the log of api's sidecar names no denial of web -> api with its intention")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(m.layout.Admin[apiAt])+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(body), "\n")
	i := slices.IndexFunc(lines, namesDenial)
	if i < 0 {
		return "", errors.New("the metrics of api's sidecar count no denial of web -> api with its intention")
	}
	return lines[i], nil
}

func namesDenial(line string) bool {
	for _, word := range []string{"deni", "web", "api", "web=>api"} {
		if !strings.Contains(line, word) {
			return false
		}
	}
	return !strings.HasPrefix(line, "#")
}

// longLived tells whether web's certificate lives for days.
func (m *Mesh) longLived() error {
	leaf, _, err := m.client.Agent().ConnectCALeaf("web", nil)
	if err != nil {
		return err
	}
	if left := time.Until(leaf.ValidBefore); left < 24*time.Hour {
		return fmt.Errorf("web's certificate ends in %s", left.Round(time.Second))
	}
	for _, admin := range m.layout.Admin {
		resp, err := m.http.Get("http://" + loopback(admin) + "/ready")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the sidecar on %s is not ready", loopback(admin))
		}
	}
	_, err = m.dialAsWeb(context.Background())
	return err
}

// inventory writes what the cluster holds: services with their addresses and health, intentions, roots.
func (m *Mesh) inventory() (string, error) {
	var lines []string
	for _, service := range []string{"web", "api", "db", "web-sidecar-proxy", "api-sidecar-proxy", "db-sidecar-proxy"} {
		list, _, err := m.client.Health().Service(service, "", false, nil)
		if err != nil {
			return "", err
		}
		for _, e := range list {
			lines = append(lines, fmt.Sprintf("%s %s %s:%d %s", e.Service.Service, e.Service.ID, e.Service.Address, e.Service.Port, e.Checks.AggregatedStatus()))
		}
	}
	intentions, _, err := m.client.Connect().Intentions(nil)
	if err != nil {
		return "", err
	}
	for _, i := range intentions {
		lines = append(lines, fmt.Sprintf("%s -> %s %s", i.SourceName, i.DestinationName, i.Action))
	}
	roots, _, err := m.client.Agent().ConnectCARoots(nil)
	if err != nil {
		return "", err
	}
	lines = append(lines, "active root "+roots.ActiveRootID)
	return strings.Join(lines, "\n"), nil
}

// foreignCertificate is web's certificate of a mesh that has nothing to do with this one.
func foreignCertificate() (tls.Certificate, error) {
	leaf, err := foreignLeaf()
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM.Reveal()))
}
