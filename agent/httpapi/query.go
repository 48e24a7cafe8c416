package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// params is a raw query string, read where it lies: no map is made for a request.
type params string

// each calls f with the pairs in order until f returns false. The query has been checked to decode.
func (p params) each(f func(key, value string) bool) {
	for rest := string(p); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if !f(unescaped(key), unescaped(value)) {
			return
		}
	}
}

func unescaped(s string) string {
	u, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return u
}

// check tells whether the query decodes (net/url's rules: no bad escapes, no bare semicolons).
func (p params) check() error {
	if strings.IndexByte(string(p), '%') < 0 && strings.IndexByte(string(p), ';') < 0 {
		return nil
	}
	_, err := url.ParseQuery(string(p))
	return err
}

// lookup returns the first value of a key, and whether the key is there at all.
func (p params) lookup(name string) (value string, ok bool) {
	// Most keys of most queries are not there: look before decoding.
	if !strings.Contains(string(p), name) && !strings.Contains(string(p), "%") {
		return "", false
	}
	p.each(func(k, v string) bool {
		if k == name {
			value, ok = v, true
		}
		return !ok
	})
	return value, ok
}

func (p params) get(name string) string { v, _ := p.lookup(name); return v }

func (p params) has(name string) bool { _, ok := p.lookup(name); return ok }

// all returns every value of a key.
func (p params) all(name string) []string {
	if p == "" {
		return nil
	}
	var list []string
	p.each(func(k, v string) bool {
		if k == name {
			list = append(list, v)
		}
		return true
	})
	return list
}

// parse fills x.req: token, datacenter, consistency and blocking, the same for every endpoint.
func (x *exchange) parse(a *API) error {
	if err := x.enterprise(); err != nil {
		return err
	}
	x.req.Token = x.token(a)
	if x.params == "" {
		return nil
	}
	x.req.Datacenter = x.params.get("dc")
	if dc := x.params.get("datacenter"); dc != "" {
		x.req.Datacenter = dc
	}
	if err := x.consistency(a); err != nil {
		return err
	}
	if v := x.params.get("wait"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return bad("Invalid wait time").WithHint("wait is a duration such as 30s, not %q", v)
		}
		x.req.Read.MaxWait = max(d, 0)
	}
	if v := x.params.get("index"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return bad("Invalid index").WithHint("index is the number of a former X-Consul-Index header, not %q", v)
		}
		x.req.Read.MinIndex = model.Index(n)
	}
	return nil
}

func (x *exchange) consistency(a *API) error {
	p, r := x.params, &x.req.Read
	strong, stale, cached := p.has("consistent"), p.has("stale"), p.has("cached")
	if v := p.get("max_stale"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return bad("Invalid max_stale value %q", v).WithHint("max_stale is a duration such as 10s")
		}
		r.MaxStale, stale = d, true
	}
	switch {
	case strong && stale:
		return bad("Cannot specify ?stale with ?consistent, conflicting semantics.")
	case strong && cached:
		return bad("Cannot specify ?cached with ?consistent, conflicting semantics.")
	case p.has("leader"):
		r.Mode = model.ConsistencyDefault
	case strong:
		r.Mode = model.ConsistencyStrong
	case stale:
		r.Mode = model.ConsistencyStale
	}
	x.cached = cached && !a.CacheDisabled
	return x.cacheControl()
}

// cacheControl checks the directives that the agent cache knows. They need no other effect: what is answered
// from a view is as fresh as the server's stream.
func (x *exchange) cacheControl() error {
	for _, directive := range strings.Split(x.r.Header.Get("Cache-Control"), ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(directive), "=")
		if !ok {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "max-age", "stale-if-error":
			if _, err := strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return bad("Invalid Cache-Control header.").WithHint("%s takes a number of seconds, not %q", name, value)
			}
		}
	}
	return nil
}

// token finds the caller's token: the parameter, then the headers, then the agent's own.
func (x *exchange) token(a *API) model.Secret {
	if t := x.params.get("token"); t != "" {
		x.tokenInURL = true
		return model.NewSecret(t)
	}
	if t := x.r.Header["X-Consul-Token"]; len(t) > 0 && t[0] != "" {
		return model.NewSecret(t[0])
	}
	if t := x.r.Header["Authorization"]; len(t) > 0 {
		if kind, secret, ok := strings.Cut(t[0], " "); ok && strings.EqualFold(kind, "Bearer") {
			if secret = strings.TrimSpace(secret); secret != "" {
				return model.NewSecret(secret)
			}
		}
	}
	if a.DefaultToken != nil {
		return a.DefaultToken()
	}
	return model.Secret{}
}

// enterprise refuses the parameters of an edition that is not ours, where the endpoint knows them.
func (x *exchange) enterprise() error {
	if x.route.scope >= serviceScope {
		if err := x.refuse("ns", "X-Consul-Namespace", "Namespaces"); err != nil {
			return err
		}
	}
	if x.route.scope >= nodeScope {
		return x.refuse("partition", "X-Consul-Partition", "Partitions")
	}
	return nil
}

func (x *exchange) refuse(param, header, feature string) error {
	if x.params.get(param) != "" {
		return bad("Invalid query parameter: %q - %s are a Consul Enterprise feature", param, feature)
	}
	if v := x.r.Header[http.CanonicalHeaderKey(header)]; len(v) > 0 && v[0] != "" {
		return bad("Invalid header: %q - %s are a Consul Enterprise feature", header, feature)
	}
	return nil
}

// metaPair is one ?node-meta=key:value.
type metaPair struct{ key, value string }

func (x *exchange) nodeMeta() []metaPair {
	var pairs []metaPair
	for _, v := range x.params.all("node-meta") {
		k, v, _ := strings.Cut(v, ":")
		pairs = append(pairs, metaPair{k, v})
	}
	return pairs
}

// hasMeta tells whether all pairs stand in meta.
func hasMeta(meta map[string]string, pairs []metaPair) bool {
	for _, p := range pairs {
		if v, ok := meta[p.key]; !ok || v != p.value {
			return false
		}
	}
	return true
}

func bad(format string, args ...any) *fault.Error {
	return fault.New(fault.BadRequest, format, args...)
}
