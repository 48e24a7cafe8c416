package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// TestEveryRouteIsWhole holds what the type of a route cannot: limits within reason, no path twice.
func TestEveryRouteIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range append(routes(), notYet()...) {
		if !strings.HasPrefix(r.path, "/v1/") || seen[r.path] {
			t.Errorf("%s: given twice, or outside /v1/", r.path)
		}
		seen[r.path] = true
		if r.limit <= 0 || r.limit > 64<<20 {
			t.Errorf("%s: a body limit of %d", r.path, r.limit)
		}
		if len(r.methods) == 0 {
			t.Errorf("%s has no method", r.path)
		}
		for _, m := range r.methods {
			if m.handle == nil || m.name == http.MethodOptions || m.name == http.MethodHead {
				t.Errorf("%s: method %s", r.path, m.name)
			}
			if m.name == http.MethodGet && len(r.methods) == 1 && r.limit != noBody {
				t.Errorf("%s only reads, and takes a body of %d", r.path, r.limit)
			}
		}
	}
}

func TestPathsFindTheirRoutes(t *testing.T) {
	table := newRouteTable(append(routes(), notYet()...))
	for path, want := range map[string]string{
		"/v1/catalog/nodes":                  "/v1/catalog/nodes|",
		"/v1/catalog/nodes/":                 "",
		"/v1/catalog/service/":               "/v1/catalog/service/{rest}|",
		"/v1/catalog/service/a/b":            "/v1/catalog/service/{rest}|a/b",
		"/v1/agent/service/register":         "/v1/agent/service/register|",
		"/v1/agent/service/register/x":       "/v1/agent/service/{rest}|register/x",
		"/v1/agent/service/deregister/x":     "/v1/agent/service/deregister/{rest}|x",
		"/v1/agent/health/service/id/a":      "/v1/agent/health/service/id/{rest}|a",
		"/v1/connect/intentions/exact":       "/v1/connect/intentions/exact|",
		"/v1/connect/intentions/exact/x":     "/v1/connect/intentions/{rest}|exact/x",
		"/v1/operator/autopilot/health":      "/v1/operator/autopilot/health|",
		"/v1/acl/policy/name/x":              "/v1/acl/policy/name/{rest}|x",
		"/V1/catalog/nodes":                  "",
		"/v1/":                               "",
		"/":                                  "",
		"":                                   "",
		"/v1/internal/ui/metrics-proxy/a/b":  "/v1/internal/ui/metrics-proxy/{rest}|a/b",
		"/v1/agent/connect/ca/leaf/a%2Fb/..": "/v1/agent/connect/ca/leaf/{rest}|a%2Fb/..",
	} {
		got := ""
		if e, rest := table.match(path); e != nil {
			got = e.name + "|" + rest
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
