package httpapi_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// small is an API on a control plane in memory, for tests of the chain.
func small(t testing.TB, edit func(*httpapi.Config)) (*httptest.Server, *memory) {
	t.Helper()
	m := newMemory(t)
	config := httpapi.Config{ControlPlane: m, Reads: m.reads, Log: hclog.NewNullLogger(), Node: "node1", Datacenter: "dc1", DefaultAllow: true, DefaultAllowIntention: true}
	if edit != nil {
		edit(&config)
	}
	s := httptest.NewServer(httpapi.New(config))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s, m
}

// call sends a request and returns the answer with its body read.
func call(t testing.TB, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestEveryAnswerIsHardened(t *testing.T) {
	s, _ := small(t, nil)
	for _, path := range []string{"/", "/v1/zzz", "/zzz", "/v1/catalog/nodes", "/v1/kv/a", "/v1//kv", "/v1/catalog/nodes?index=x"} {
		resp, _ := call(t, http.MethodGet, s.URL+path, nil)
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

func TestBodyBeyondItsLimitIsRefusedHoweverItIsSent(t *testing.T) {
	s, _ := small(t, nil)
	big := `{"Node":"` + strings.Repeat("x", 5<<20) + `"}`
	for name, body := range map[string]io.Reader{"with a length": strings.NewReader(big), "chunked": io.MultiReader(strings.NewReader(big))} {
		resp, text := call(t, http.MethodPut, s.URL+"/v1/catalog/register", body)
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, "max size: 4194304 bytes") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
	}
}

func TestOddPathsAreCleanedOrRefused(t *testing.T) {
	s, _ := small(t, nil)
	for path, want := range map[string]string{
		"/v1//catalog/nodes": "/v1/catalog/nodes", "/v1/x/../catalog/nodes?a=b": "/v1/catalog/nodes?a=b", "/v1/kv": "/v1/kv/",
		"//evil.example/v1": "/evil.example/v1", "/v1/./kv/": "/v1/kv/",
	} {
		resp, _ := call(t, http.MethodGet, s.URL+path, nil)
		if resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != want {
			t.Errorf("%s: %d %q", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	for _, path := range []string{"/v1/catalog/service/a%00b", "/v1/catalog/service/a%0ab", "/v1/catalog/service/%7f", "/v1/catalog/service/%E2%80%AE"} {
		if resp, _ := call(t, http.MethodGet, s.URL+path, nil); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	open, _ := small(t, func(c *httpapi.Config) { c.AllowUnprintable = true })
	if resp, _ := call(t, http.MethodGet, open.URL+"/v1/catalog/service/a%0ab", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("with the filter off: %d", resp.StatusCode)
	}
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func TestTokenNeverReachesTheLog(t *testing.T) {
	var log buffer
	s, _ := small(t, func(c *httpapi.Config) { c.Log = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace}) })
	call(t, http.MethodGet, s.URL+"/v1/catalog/service/x?token=hunter2", nil)
	call(t, http.MethodGet, s.URL+"/v1/catalog/service/x?dc=%zz&token=hunter2", nil)
	call(t, http.MethodGet, s.URL+"/v1/catalog/service/x", nil, "X-Consul-Token", "hunter2")
	text := log.String()
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "/v1/catalog/service/{rest}") || !strings.Contains(text, "deprecated") {
		t.Errorf("the log: %s", text)
	}
}

// TestTokenPrecedence holds section 1.4 of the reference.
func TestTokenPrecedence(t *testing.T) {
	var got model.Secret
	s, _ := small(t, func(c *httpapi.Config) {
		c.ControlPlane = spy{c.ControlPlane, func(req model.Request) { got = req.Token }}
		c.DefaultToken = func() model.Secret { return model.NewSecret("default") }
	})
	for _, c := range []struct {
		query, header, bearer, want string
	}{{"q", "h", "b", "q"}, {"", "h", "b", "h"}, {"", "", "b", "b"}, {"", "", "", "default"}} {
		var header []string
		if c.header != "" {
			header = append(header, "X-Consul-Token", c.header)
		}
		if c.bearer != "" {
			header = append(header, "Authorization", "bearer "+c.bearer)
		}
		call(t, http.MethodGet, s.URL+"/v1/catalog/nodes?token="+c.query, nil, header...)
		if got.Reveal() != c.want {
			t.Errorf("%+v: got %q", c, got.Reveal())
		}
	}
}

// spy looks at what reads carry.
type spy struct {
	httpapi.ControlPlane
	see func(model.Request)
}

func (s spy) Datacenters(ctx context.Context, req model.Request) ([]string, error) {
	panic("the test's own fault")
}

func (s spy) Read(ctx context.Context, req model.Request, q view.Query, from httpapi.Backend) (*view.Result, model.ReadMeta, error) {
	s.see(req)
	return s.ControlPlane.Read(ctx, req, q, from)
}

func TestPanicCostsOneRequest(t *testing.T) {
	var log buffer
	s, _ := small(t, func(c *httpapi.Config) {
		c.ControlPlane = spy{c.ControlPlane, func(model.Request) {}}
		c.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
	})
	resp, text := call(t, http.MethodGet, s.URL+"/v1/catalog/datacenters", nil)
	if resp.StatusCode != http.StatusInternalServerError || text != "internal error" || !strings.Contains(log.String(), "/v1/catalog/datacenters") {
		t.Errorf("%d %q, log %s", resp.StatusCode, text, log.String())
	}
	if resp, _ := call(t, http.MethodGet, s.URL+"/v1/catalog/nodes", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("the next request: %d", resp.StatusCode)
	}
}

func TestCompressedAnswersHoldTheSameBytes(t *testing.T) {
	s, m := small(t, nil)
	for n := range 20 {
		m.register(t, fmt.Sprintf("n%d", n), "passing")
	}
	for _, path := range []string{"/v1/health/service/web", "/v1/health/service/web?pretty", "/v1/catalog/service/web?tag=v1", "/v1/catalog/nodes?filter=Node==n3"} {
		_, plain := call(t, http.MethodGet, s.URL+path, nil, "Accept-Encoding", "identity")
		for range 2 {
			resp, zipped := call(t, http.MethodGet, s.URL+path, nil, "Accept-Encoding", "br, gzip;q=0.8")
			if len(plain) < 256 {
				continue
			}
			if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Vary") != "Accept-Encoding" {
				t.Fatalf("%s: %v", path, resp.Header)
			}
			r, err := gzip.NewReader(strings.NewReader(zipped))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != plain {
				t.Errorf("%s: %v, %d bytes for %d", path, err, len(got), len(plain))
			}
		}
		if resp, _ := call(t, http.MethodGet, s.URL+path, nil, "Accept-Encoding", "gzip;q=0"); resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed against the caller's will", path)
		}
	}
}

// TestLongPollsShareOneRendering wakes many and counts what they got.
func TestLongPollsShareOneRendering(t *testing.T) {
	s, m := small(t, nil)
	m.register(t, "n1", "passing")
	resp, _ := call(t, http.MethodGet, s.URL+"/v1/health/service/web", nil)
	index := resp.Header.Get("X-Consul-Index")
	var waiting sync.WaitGroup
	bodies := make([]string, 20)
	for i := range bodies {
		waiting.Go(func() {
			_, bodies[i] = call(t, http.MethodGet, s.URL+"/v1/health/service/web?wait=10s&index="+index, nil)
		})
	}
	m.register(t, "n1", "critical")
	waiting.Wait()
	for _, b := range bodies {
		if !strings.Contains(b, `"critical"`) || b != bodies[0] {
			t.Fatalf("a poll got %s", b)
		}
	}
}

func TestAbsentEndpointsSaySo(t *testing.T) {
	s, _ := small(t, nil)
	resp, text := call(t, http.MethodPut, s.URL+"/v1/kv/a", strings.NewReader("x"))
	if resp.StatusCode != http.StatusNotImplemented || text != "PUT /v1/kv/ is not implemented in this version of Lictor" {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if resp, _ := call(t, http.MethodPost, s.URL+"/v1/kv/a", nil); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "OPTIONS,GET,PUT,DELETE" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestHintStandsBesideTheRecordedText(t *testing.T) {
	s, _ := small(t, nil)
	resp, text := call(t, http.MethodGet, s.URL+"/v1/catalog/nodes?index=x", nil)
	if text != "Invalid index" || !strings.Contains(resp.Header.Get("X-Lictor-Hint"), `"x"`) {
		t.Errorf("%q, hint %q", text, resp.Header.Get("X-Lictor-Hint"))
	}
}

func TestReloadReportsInItsHeader(t *testing.T) {
	h := startHost(t, options{connect: true})
	resp, text := call(t, http.MethodPut, h.url+"/v1/agent/reload", nil)
	if text != "" || resp.Header.Get("X-Lictor-Reload") != `{"applied":["log_level"],"needs_restart":["ports.http"],"rejected":null}` {
		t.Errorf("%q %q", text, resp.Header.Get("X-Lictor-Reload"))
	}
	_, text = call(t, http.MethodGet, h.url+"/v1/agent/proxy/status/web-sidecar-proxy", nil)
	var p struct {
		Healthy  bool
		LastNACK struct{ Reason string }
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Healthy || p.LastNACK.Reason != "bad <listener>" {
		t.Errorf("%v %s", err, text)
	}
	if resp, _ := call(t, http.MethodGet, h.url+"/v1/agent/proxy/status/zzz", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown proxy: %d", resp.StatusCode)
	}
}

// TestDrainLeaseEndsWithItsConnection reads the stages as they come, then goes away.
func TestDrainLeaseEndsWithItsConnection(t *testing.T) {
	h := startHost(t, options{connect: true})
	if resp, _ := call(t, http.MethodPut, h.url+"/v1/agent/proxy/drain/web", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown proxy: %d", resp.StatusCode)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, h.url+"/v1/agent/proxy/drain/web-sidecar-proxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for _, stage := range []string{"draining", "drained"} {
		h.drain("web-sidecar-proxy") <- stage
		if !lines.Scan() || lines.Text() != stage {
			t.Fatalf("want %s, got %q", stage, lines.Text())
		}
	}
	close(h.drain("web-sidecar-proxy"))
	if h.drain("web-sidecar-proxy") == nil {
		t.Error("the lease ended with its stages")
	}
	cancel()
	for deadline := time.Now().Add(5 * time.Second); h.drain("web-sidecar-proxy") != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the lease outlives its connection")
		}
	}
}

func (h *host) drain(id model.ServiceID) chan string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.drains[id]
}
