//go:build unix

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// send sends one request to the API and returns status and body.
func (a *agent) send(t testing.TB, method, path string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.at("http")+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// unsized hides the length of a body, so that it is sent in chunks.
type unsized struct{ io.Reader }

func TestBadRequestsGetAnErrorThatTellsWhat(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	const register = "/v1/agent/service/register"
	zeros := func(n int64) io.Reader { return io.LimitReader(endless{}, n) }
	for _, c := range []struct {
		method, path string
		body         io.Reader
		status       int
		want         string
	}{
		{"PUT", register, strings.NewReader(``), 400, "Request decode failed"},
		{"PUT", register, strings.NewReader(`{`), 400, "Request decode failed"},
		{"PUT", register, strings.NewReader(`{"Port":1}`), 400, "Missing service name"},
		{"PUT", register, strings.NewReader(`{"Name":"x","Port":"http"}`), 400, "Port"},
		{"PUT", register, strings.NewReader(`{"Name":"x","Prot":1}`), 400, "Prot"},
		{"PUT", register, strings.NewReader(`{"Name":"x","Address":"0.0.0.0"}`), 400, "Invalid service address"},
		{"PUT", register, strings.NewReader(`{"Name":"x","Check":{"HTTP":"http://localhost"}}`), 400, "Interval"},
		{"PUT", register, strings.NewReader(`{"Name":"x","Kind":"connect-proxy","Port":1}`), 400, "DestinationServiceName"},
		{"PUT", register, strings.NewReader(`{"Name":"x","Connect":{"SidecarService":{"Proxy":{"Upstreams":[{"LocalBindPort":1}]}}}}`), 400, "destination name"},
		{"PUT", register, zeros(8 << 20), 413, "too large"},
		{"PUT", register, unsized{zeros(8 << 20)}, 413, "too large"},
		{"PUT", "/v1/agent/service/deregister/nobody", nil, 404, "nobody"},
		{"PUT", "/v1/agent/check/pass/nobody", nil, 404, "nobody"},
		{"PUT", "/v1/agent/check/register", strings.NewReader(`{"Name":"c","TTL":"1s","ServiceID":"nobody"}`), 404, "nobody"},
		{"PUT", "/v1/connect/intentions/exact?source=a&destination=b", strings.NewReader(`{"Action":"perhaps"}`), 500, "'allow' or 'deny'"},
		{"PUT", "/v1/agent/proxy/drain/nobody", nil, 404, "nobody"},
		{"POST", register, strings.NewReader(`{}`), 405, "method POST not allowed"},
		{"DELETE", "/v1/catalog/nodes", nil, 405, "method DELETE not allowed"},
		{"GET", "/v1/nothing", nil, 404, "not a recognized HTTP API endpoint"},
		{"GET", "/nothing", nil, 404, "/v1/"},
		{"GET", "/v1/catalog/nodes?index=abc", nil, 400, "index"},
		{"GET", "/v1/catalog/nodes?wait=abc&index=1", nil, 400, "wait"},
		{"GET", "/v1/catalog/nodes?filter=%28%28", nil, 500, "Failed to create boolean expression evaluator"},
		{"GET", "/v1/catalog/nodes?stale&consistent", nil, 400, "stale"},
		{"GET", "/v1/catalog/nodes?dc=nowhere", nil, 500, "No path to datacenter"},
	} {
		status, body := a.send(t, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) || len(body) > 2000 {
			t.Errorf("%s %s: %d %.300s, want %d with %q", c.method, c.path, status, body, c.status, c.want)
		}
	}
	if services, err := a.Agent().Services(); err != nil || len(services) > 0 {
		t.Errorf("registered in spite of all: %v, %v", services, err)
	}
	a.noPanic(t)
}

// endless is a body of zeros.
type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBadPortIsNamed: the recorded API takes any port, and so does this one, with the fix in the hint; our own command
// line refuses it.
func TestBadPortIsNamed(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	req, err := http.NewRequest(http.MethodPut, "http://"+a.at("http")+"/v1/agent/service/register", strings.NewReader(`{"Name":"x","Port":70000}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if hint := resp.Header.Get("X-Lictor-Hint"); resp.StatusCode != http.StatusOK || !strings.Contains(hint, "70000") {
		t.Errorf("%d, hint %q", resp.StatusCode, hint)
	}
	eventually(t, "what was accepted is in the catalog", func() error { return a.inCatalog("x") })
}

// TestRegisteringAnIDAgainReplacesIt holds what a duplicate id means over the API: the same instance, registered anew.
func TestRegisteringAnIDAgainReplacesIt(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	a.register(t, &api.AgentServiceRegistration{ID: "a", Name: "x", Port: 1})
	a.register(t, &api.AgentServiceRegistration{ID: "a", Name: "y", Port: 2})
	services, err := a.Agent().Services()
	if err != nil || len(services) != 1 || services["a"].Service != "y" || services["a"].Port != 2 {
		t.Errorf("%v, %v", services, err)
	}
	eventually(t, "x gone from the catalog", func() error {
		if a.inCatalog("x") == nil {
			return fmt.Errorf("x is still there")
		}
		return nil
	})
}

// TestLeafOfAnUnknownServiceIsIssued holds that a certificate may be asked for before its service is registered, as
// Consul's clients do, and that a name which can be none is refused.
func TestLeafOfAnUnknownServiceIsIssued(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	leaf, _, err := a.Agent().ConnectCALeaf("not-registered", nil)
	if err != nil || !strings.HasSuffix(leaf.ServiceURI, "/svc/not-registered") {
		t.Fatalf("%v, %v", leaf, err)
	}
	for _, name := range []string{"a%2Fb", "%00"} {
		status, body := a.send(t, "GET", "/v1/agent/connect/ca/leaf/"+name, nil)
		if status < 400 || status >= 500 || body == "" {
			t.Errorf("a leaf for %q: %d %.200s", name, status, body)
		}
	}
}

// TestSlowHeadersAreCut holds that a client which sends its header byte by byte is closed within the header's time.
func TestSlowHeadersAreCut(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	c, err := net.Dial("tcp", a.at("http"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	begin := time.Now()
	if _, err := io.WriteString(c, "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := io.WriteString(c, "X-Slow: 1\r\n"); err != nil {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err = io.Copy(io.Discard, c)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("closed after %s: %v", took, err)
	}
}

// TestHugeHeadersAreRefused holds the bound on headers and request lines.
func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	for _, request := range []string{
		"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", 4<<20) + "\r\n\r\n",
		"GET /" + strings.Repeat("a", 4<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c, err := net.Dial("tcp", a.at("http"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		go func() { _, _ = io.WriteString(c, request) }()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge && resp.StatusCode != http.StatusRequestURITooLong {
				t.Errorf("status %s", resp.Status)
			}
		}
		_ = c.Close()
	}
	if err := a.leads(); err != nil {
		t.Error(err)
	}
}
