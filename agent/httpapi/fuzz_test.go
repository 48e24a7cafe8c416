package httpapi_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/agent/local"
	"github.com/lictor-mesh/lictor/model"
)

// FuzzBodies sends any body to each endpoint that reads one: no panic, and no answer but those that are meant.
func FuzzBodies(f *testing.F) {
	m := newMemory(f)
	runner := checks.NewRunner(&checks.Env{Log: hclog.NewNullLogger(), Node: "node1"})
	f.Cleanup(runner.Close)
	s, err := local.Open(local.Options{Log: hclog.NewNullLogger(), Node: &model.Node{Node: "node1", ID: nodeID}, Checks: runner})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	api := httpapi.New(httpapi.Config{ControlPlane: m, Local: deaf{s}, Reads: m.reads, Log: failing{hclog.NewNullLogger(), f}, Datacenter: "dc1", DefaultAllow: true, DefaultAllowIntention: true})
	endpoints := []struct{ method, path string }{
		{http.MethodPut, "/v1/catalog/register"}, {http.MethodPut, "/v1/catalog/deregister"}, {http.MethodPut, "/v1/agent/check/update/x"},
		{http.MethodPut, "/v1/connect/intentions/exact?source=a&destination=b"}, {http.MethodPost, "/v1/connect/intentions"},
		{http.MethodPut, "/v1/agent/service/register"}, {http.MethodPut, "/v1/agent/check/register"},
		{http.MethodPut, "/v1/connect/ca/configuration"}, {http.MethodPost, "/v1/agent/connect/authorize"},
	}
	for _, body := range []string{"", "null", "{", `{"Node":"a","Address":"b","Service":{"Service":"s","Proxy":{"Config":{"a":[1,null]}}}}`,
		`{"Action":"allow","Permissions":[null,{"HTTP":{"Header":[{"Name":"x"}],"Methods":["GET",null]}}],"Meta":{"a":"b"}}`,
		`{"Target":"db","ClientCertURI":"spiffe://x.consul/ns/default/dc/dc1/svc/web"}`, `{"Provider":"consul","Config":{"A":[{}]},"State":{}}`} {
		for i := range endpoints {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		e := endpoints[int(n)%len(endpoints)]
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), e.method, e.path, bytes.NewReader(body)))
		if w.Code >= 500 && w.Code != http.StatusInternalServerError {
			t.Errorf("%s %s with %q: %d %s", e.method, e.path, body, w.Code, w.Body)
		}
	})
}

// deaf takes registrations and forgets them, so that no made-up check runs.
type deaf struct{ *local.State }

func (deaf) AddService(*model.ServiceDefinition, local.Registering) error { return nil }
func (deaf) AddCheck(*model.CheckDefinition, local.Registering) error     { return nil }

// FuzzQueries sends any query to the endpoints that read most of it.
func FuzzQueries(f *testing.F) {
	m := newMemory(f)
	m.register(f, "n1", "passing")
	api := httpapi.New(httpapi.Config{ControlPlane: m, Reads: m.reads, Log: failing{hclog.NewNullLogger(), f}, Datacenter: "dc1", DefaultAllow: true, DefaultAllowIntention: true})
	for _, q := range []string{"index=1&wait=1ms", "filter=Service.Port==1", "passing&tag=v1&tag=", "node-meta=a:b&near=_agent&pretty", "stale&max_stale=1s",
		"%zz", "a;b", "token=x&dc=&datacenter=", "ns=&partition=", "&&=&=a"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/v1/health/service/web", "/v1/catalog/services", "/v1/health/state/any", "/v1/connect/intentions/match"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
			r.URL.RawQuery = query + "&wait=1ms"
			api.ServeHTTP(httptest.NewRecorder(), r)
		}
	})
}

// failing is a log on which an error fails the test: the API logs one when a handler panicked.
type failing struct {
	hclog.Logger
	tb testing.TB
}

func (l failing) Error(msg string, args ...any) { panic([]any{msg, args}) }
