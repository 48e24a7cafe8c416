package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

// meshAgent answers what stand-alone proxies ask, with certificates that it signs.
type meshAgent struct {
	t      *testing.T
	ca     *x509.Certificate
	caPEM  string
	key    *ecdsa.PrivateKey
	dbAddr string
	deny   atomic.Bool
	asked  chan string // registrations and deregistrations
}

const meshDomain = "11111111-2222-3333-4444-555555555555.consul"

func newMeshAgent(t *testing.T) *meshAgent {
	a := &meshAgent{t: t, asked: make(chan string, 10)}
	a.ca = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		URIs: []*url.URL{{Scheme: "spiffe", Host: meshDomain}}}
	a.caPEM, a.key = a.sign(a.ca)
	return a
}

// sign makes a key and a certificate of template, by the CA or by itself where it is the first.
func (a *meshAgent) sign(template *x509.Certificate) (certPEM string, key *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.ca, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), key
}

func (a *meshAgent) leaf(service string) map[string]any {
	id := &url.URL{Scheme: "spiffe", Host: meshDomain, Path: "/ns/default/dc/dc1/svc/" + service}
	cert, key := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: service},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{id}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return map[string]any{"SerialNumber": "02", "CertPEM": cert, "PrivateKeyPEM": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		"Service": service, "ServiceURI": id.String(), "ValidAfter": time.Now().Add(-time.Hour), "ValidBefore": time.Now().Add(time.Hour)}
}

func (a *meshAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, _ := io.ReadAll(r.Body)
		a.asked <- r.URL.Path + " " + string(bytes.TrimSpace(body))
		return
	}
	index := "5"
	if strings.Contains(r.URL.Path, "intentions") && a.deny.Load() {
		index = "6"
	}
	if r.URL.Query().Get("index") == index { // nothing new: hold it, but not for long, so that a change is seen
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	w.Header().Set("X-Consul-Index", index)
	w.Header().Set("X-Consul-Default-Acl-Policy", "allow")
	_ = json.NewEncoder(w).Encode(a.answer(r))
}

func (a *meshAgent) answer(r *http.Request) any {
	switch {
	case r.URL.Path == "/v1/agent/self":
		return map[string]any{"Config": map[string]any{"Datacenter": "dc1"}}
	case r.URL.Path == "/v1/agent/connect/ca/roots":
		return map[string]any{"ActiveRootID": "r", "TrustDomain": meshDomain, "Roots": []any{map[string]any{"ID": "r", "RootCert": a.caPEM, "Active": true}}}
	case strings.HasPrefix(r.URL.Path, "/v1/agent/connect/ca/leaf/"):
		return a.leaf(strings.TrimPrefix(r.URL.Path, "/v1/agent/connect/ca/leaf/"))
	case r.URL.Path == "/v1/connect/intentions/match" && a.deny.Load():
		name := r.URL.Query().Get("name")
		return map[string]any{name: []any{map[string]any{"SourceName": "web", "DestinationName": name, "Action": "deny", "Precedence": 9}}}
	case r.URL.Path == "/v1/connect/intentions/match":
		return map[string]any{r.URL.Query().Get("name"): []any{}}
	case r.URL.Path == "/v1/health/connect/db":
		host, port, _ := splitAddr(a.dbAddr)
		return []any{map[string]any{"Node": map[string]any{"Node": "n1", "Address": host},
			"Service": map[string]any{"Kind": "connect-proxy", "ID": "db-proxy", "Service": "db-proxy", "Address": host, "Port": port,
				"Weights": map[string]int{"Passing": 1, "Warning": 1}}, "Checks": []any{}}}
	}
	a.t.Errorf("asked for %s", r.URL)
	return nil
}

// startProxy runs what the flags describe until the test ends.
func startProxy(t *testing.T, agentURL string, f *proxyFlags) {
	t.Helper()
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	e, err := f.engine(testClient(t, agentURL), hclog.NewNullLogger(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = e.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	wait(t, "the proxy of "+f.service, e.Ready())
}

func TestStandAloneProxiesCarryOverMutualTLSAndEnforceIntentions(t *testing.T) {
	app, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	go func() {
		for {
			c, err := app.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	agent := newMeshAgent(t)
	agent.dbAddr = closedPort(t)
	upstream := closedPort(t)
	server := httptest.NewServer(agent)
	defer server.Close()

	startProxy(t, server.URL, &proxyFlags{service: "db", listen: agent.dbAddr, serviceAddr: app.Addr().String(), drain: time.Second, register: true})
	registered := <-agent.asked
	if !strings.HasPrefix(registered, "/v1/agent/service/register ") || !strings.Contains(registered, `"ID":"db-proxy"`) {
		t.Errorf("registered by %s", registered)
	}
	startProxy(t, server.URL, &proxyFlags{service: "web", upstreams: upstreamList{{"db", upstream}}, drain: time.Second})

	conn, err := net.Dial("tcp", upstream)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, 5)
	if _, err := io.ReadFull(conn, echo); err != nil || string(echo) != "hello" {
		t.Fatalf("echo %q, %v", echo, err)
	}

	agent.deny.Store(true)
	if n, err := conn.Read(echo); err == nil {
		t.Fatalf("read %d bytes over a connection that is denied now", n)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatal("the open connection was not closed when it was denied")
	}
}

func TestUpstreamFlagTakesPortOrAddress(t *testing.T) {
	for text, want := range map[string]string{"db:9191": "127.0.0.1:9191", "db:0.0.0.0:1": "0.0.0.0:1", "db::7": "127.0.0.1:7", "db:[::1]:7": "[::1]:7"} {
		var l upstreamList
		if err := l.Set(text); err != nil || l[0] != (upstreamFlag{"db", want}) {
			t.Errorf("%s gives %v, %v, want %s", text, l, err, want)
		}
	}
	for _, text := range []string{"bad", ":80", "db:", "db:x:y:z", "db:70000", "db:0"} {
		if err := new(upstreamList).Set(text); err == nil || !strings.HasPrefix(err.Error(), "Upstream value should be name:addr in ") {
			t.Errorf("%s gives the error %v", text, err)
		}
	}
}

func TestStandAloneProxyNamesAllThatFailsInOneStableReason(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "http://127.0.0.1:1/v1/a?index=1", Err: errors.New("connection refused")}
	other := &url.Error{Op: "Get", URL: "http://127.0.0.1:1/v1/b", Err: errors.New("connection refused")}
	failing := map[string]string{"roots": reasonOf(refused), "agent": reasonOf(other), "certificate": reasonOf(errors.New("403"))}
	const want = "certificate: 403; agent, roots: connection refused"
	for range 20 {
		if got := failures(failing); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if got := failures(nil); got != "" {
		t.Errorf("nothing fails, and it says %q", got)
	}
}
