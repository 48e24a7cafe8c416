package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// style is how JSON is laid out.
type style uint8

const (
	compact style = iota
	indented
	// pretty is indented with a newline at the end.
	pretty
	styles
)

func (a *API) styleOf(p params) style {
	switch {
	case p != "" && p.has("pretty"):
		return pretty
	case a.Indent:
		return indented
	default:
		return compact
	}
}

// lay lays out compact JSON.
func (s style) lay(b []byte) []byte {
	if s == compact {
		return b
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "    "); err != nil {
		return b
	}
	if s == pretty {
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// fixedHeaders are header values that many answers share. Nobody changes them: each has no room to grow.
type fixedHeaders struct {
	nosniff, csp, policy, vary, isTrue, isFalse, json, text, gzip, zero []string
	blocking, streaming                                                 []string
	mode                                                                [3][]string
}

func newFixedHeaders(c *Config) fixedHeaders {
	one := func(s string) []string { return []string{s} }
	policy := "deny"
	if c.DefaultAllow {
		policy = "allow"
	}
	return fixedHeaders{
		nosniff: one("nosniff"), csp: one("default-src 'none'; frame-ancestors 'none'; sandbox"), policy: one(policy),
		vary: one("Accept-Encoding"), isTrue: one("true"), isFalse: one("false"),
		json: one("application/json"), text: one("text/plain; charset=utf-8"), gzip: one("gzip"), zero: one("0"),
		blocking: one("blocking-query"), streaming: one("streaming"),
		mode: [3][]string{one(model.ConsistencyDefault.String()), one(model.ConsistencyStrong.String()), one(model.ConsistencyStale.String())},
	}
}

// json answers 200 with compact JSON, laid out and compressed as the caller wants it.
func (x *exchange) json(a *API, body []byte) error {
	x.w.Header()["Content-Type"] = a.headers.json
	x.send(a, http.StatusOK, x.style.lay(body))
	return nil
}

// send writes the answer, compressed if that pays.
func (x *exchange) send(a *API, status int, body []byte) {
	if x.zip && len(body) >= minZip {
		x.w.Header()["Content-Encoding"] = a.headers.gzip
		body = a.zips.zip(body)
	}
	x.write(status, body)
}

func (x *exchange) write(status int, body []byte) {
	x.status = status
	x.w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.w.WriteHeader(status)
	// A caller that is gone cannot be told; the server sees its connection end.
	_, _ = x.w.Write(body)
}

// empty answers 200 without a body, which the compatible API still calls JSON.
func (x *exchange) empty(a *API) {
	x.w.Header()["Content-Type"] = a.headers.json
	x.write(http.StatusOK, nil)
}

// fail answers with an error: its text as it is, its fix in a header.
func (x *exchange) fail(a *API, err error) {
	if x.status != 0 {
		return
	}
	h := x.w.Header()
	hint := hintOf(err)
	if hint != "" {
		h.Set("X-Lictor-Hint", headerText(hint))
	}
	h["Content-Type"] = a.headers.text
	status := statusOf(err)
	if status >= http.StatusInternalServerError && !fault.Is(err, fault.Canceled) {
		fields := []any{"method", x.r.Method, "route", x.route.name, "error", err}
		if hint != "" {
			fields = append(fields, "hint", hint)
		}
		a.Log.Debug("request failed", fields...)
	}
	x.write(status, []byte(err.Error()))
}

// headerText makes a text fit for a header: one line of printable characters.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// readMeta sets the headers of a read (HTTP API reference, section 1.6).
func (x *exchange) readMeta(a *API, m model.ReadMeta, streaming bool) {
	h := x.w.Header()
	h["X-Consul-Index"] = []string{formatIndex(m.Index)}
	h["X-Consul-Knownleader"] = a.headers.isFalse
	h["X-Consul-Query-Backend"] = a.headers.blocking
	if streaming && m.Streaming {
		// A materialised view does not know the leader, and says so.
		h["X-Consul-Query-Backend"] = a.headers.streaming
	} else if m.KnownLeader || m.Streaming {
		// Where a view stands in for the agent cache, that repeats what its fetch from the leader said.
		h["X-Consul-Knownleader"] = a.headers.isTrue
	}
	h["X-Consul-Lastcontact"] = a.headers.zero
	if ms := m.LastContact / time.Millisecond; ms > 0 {
		h["X-Consul-Lastcontact"] = []string{strconv.FormatInt(int64(ms), 10)}
	}
}

// failedMeta sets the headers that some endpoints show also when the read failed.
func (x *exchange) failedMeta(a *API) { x.readMeta(a, model.ReadMeta{}, false) }

func (x *exchange) effectiveMode(a *API, m model.ReadMeta) {
	x.w.Header()["X-Consul-Effective-Consistency"] = a.headers.mode[m.Mode]
}

// shape numbers the renderings that are kept with a result.
type shape uint8

const (
	shapeNodes shape = iota
	shapeServiceNames
	shapeServiceNodes
	shapeNode
	shapeNodeServices
	shapeChecks
	shapeHealth
	shapeHealthPassing
	shapeIntentions
	shapeRoots
	shapeRootsPEM
	shapeCAConfig
)

// memoKey is the key of a kept rendering. It fits a byte, so that no lookup allocates.
type memoKey uint8

func (s shape) key(st style, zip bool) memoKey {
	k := memoKey(s)*memoKey(styles)*2 + memoKey(st)*2
	if zip {
		k++
	}
	return k
}

// rowsKey is the key of the rows of a shape, which come after the keys of whole renderings.
func (s shape) rowsKey() memoKey { return 128 + memoKey(s) }

// kept answers with a rendering of the whole result, made once for all who ask for it.
func (x *exchange) kept(a *API, r *view.Result, s shape, render func() []byte) error {
	body := r.Memo(s.key(x.style, false), func() any { return x.style.lay(render()) }).([]byte)
	h := x.w.Header()
	h["Content-Type"] = a.headers.json
	if x.zip && len(body) >= minZip {
		body = r.Memo(s.key(x.style, true), func() any { return a.zips.zip(body) }).([]byte)
		h["Content-Encoding"] = a.headers.gzip
	}
	x.write(http.StatusOK, body)
	return nil
}

// minZip is the size from which compressing a body pays.
const minZip = 256

// zipPool compresses bodies with writers that are used again: each holds about a megabyte.
type zipPool struct{ pool sync.Pool }

func (z *zipPool) init() {
	z.pool.New = func() any {
		w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil {
			panic("httpapi: the level is a constant: " + err.Error())
		}
		return w
	}
}

func (z *zipPool) zip(body []byte) []byte {
	w := z.pool.Get().(*gzip.Writer)
	defer z.pool.Put(w)
	out := bytes.NewBuffer(make([]byte, 0, len(body)/4))
	w.Reset(out)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(header []string) bool {
	for _, h := range header {
		if h == "gzip" {
			return true
		}
		for part := range strings.SplitSeq(h, ",") {
			name, q, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				q = strings.TrimSpace(q)
				return !(strings.HasPrefix(q, "q=0") && strings.Trim(q[3:], ".0") == "")
			}
		}
	}
	return false
}

// seenQueries remembers which views the agent has been asked for as ?cached: the first such answer is a MISS,
// later ones are HITs. It is bounded, and forgets all at once.
type seenQueries struct {
	mu   sync.Mutex
	seen map[view.Query]struct{}
}

const maxSeen = 4096

// first tells whether q has not been seen before, and remembers it.
func (s *seenQueries) first(q view.Query) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[q]; ok {
		return false
	}
	if s.seen == nil || len(s.seen) >= maxSeen {
		s.seen = map[view.Query]struct{}{}
	}
	s.seen[q] = struct{}{}
	return true
}

// cacheMeta sets the headers of an answer from the agent's views. A view follows the servers, so its age is 0.
func (x *exchange) cacheMeta(hit bool) {
	h := x.w.Header()
	if !hit {
		h.Set("X-Cache", "MISS")
		return
	}
	h.Set("X-Cache", "HIT")
	h.Set("Age", "0")
}

// urlPath writes a path and a raw query as a reference that cannot name another host.
type urlPath struct{ path, query string }

// String returns the reference.
func (u *urlPath) String() string { return (&url.URL{Path: u.path, RawQuery: u.query}).String() }

func htmlEscape(s string) string { return html.EscapeString(s) }

func printableRunes(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
