package httpapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// exchange is one request on its way through the API.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	route  *endpoint
	rest   string // what follows the path of a prefix route, decoded
	params params
	req    model.Request
	start  time.Time

	cached     bool // ?cached
	tokenInURL bool
	status     int // 0 until the answer's header is written
	zip        bool
	style      style
}

// ServeHTTP implements http.Handler: the one chain that every request passes.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["X-Content-Type-Options"] = a.headers.nosniff
	h["Content-Security-Policy"] = a.headers.csp
	if !a.AllowUnprintable && !printable(r.URL.Path) {
		plainText(w, http.StatusBadRequest, "Invalid URL path: it contains non-printable characters\n")
		return
	}
	if to := cleanPath(r.URL.Path); to != r.URL.Path {
		redirect(w, to, r.URL.RawQuery)
		return
	}
	for name, value := range a.ResponseHeaders {
		h.Set(name, value)
	}
	route, rest := a.routes.match(r.URL.Path)
	if route == nil {
		a.noRoute(w, r)
		return
	}
	x := &exchange{w: w, r: r, route: route, rest: rest, params: params(r.URL.RawQuery), start: time.Now()}
	h["X-Consul-Default-Acl-Policy"] = a.headers.policy
	h["Vary"] = a.headers.vary
	if a.TranslateWAN {
		h["X-Consul-Translate-Addresses"] = a.headers.isTrue
	}
	defer a.finish(x)
	if err := a.handle(x); err != nil {
		x.fail(a, err)
	} else if x.status == 0 {
		x.empty(a)
	}
}

// handle runs the checks that come before a handler, and the handler.
func (a *API) handle(x *exchange) error {
	for _, prefix := range a.BlockEndpoints {
		if strings.HasPrefix(x.r.URL.Path, prefix) {
			return fault.New(fault.Permission, "Endpoint is blocked by agent configuration")
		}
	}
	if x.r.Method == http.MethodOptions {
		x.w.Header()["Allow"] = x.route.allow
		return nil
	}
	if !a.mayWrite(x.r) {
		return fault.New(fault.Permission, "Access is restricted").
			WithHint("http_config.allow_write_http_from does not list the address that this request came from")
	}
	if err := sameSite(x.r); err != nil {
		return err
	}
	if err := x.params.check(); err != nil {
		return &statusError{http.StatusInternalServerError,
			fault.New(fault.BadRequest, "").WithHint("the query string does not decode: %v", err)}
	}
	h := x.route.find(x.r.Method)
	if h == nil {
		x.w.Header()["Allow"] = x.route.allow
		return &statusError{http.StatusMethodNotAllowed, fault.New(fault.BadRequest, "method %s not allowed", x.r.Method)}
	}
	if x.r.Body != http.NoBody {
		x.r.Body = http.MaxBytesReader(x.w, x.r.Body, int64(x.route.limit))
	}
	x.zip = acceptsGzip(x.r.Header["Accept-Encoding"])
	x.style = a.styleOf(x.params)
	if err := x.parse(a); err != nil {
		return err
	}
	return h(a, x)
}

// sameSite refuses a write that a browser sends for a page of another site: whoever can open a page on a host
// would otherwise make its agent do what the page wants. Clients that are no browsers send none of these headers.
func sameSite(r *http.Request) error {
	if new(http.CrossOriginProtection).Check(r) == nil {
		return nil
	}
	return fault.New(fault.Permission, "Cross-origin writes are refused").
		WithHint("a page of %q may not write to this agent; send the request from the page's own server", r.Header.Get("Origin"))
}

// finish recovers a handler's panic, which costs one request, and writes the request log. Both name the
// route's template: paths and queries may hold tokens.
func (a *API) finish(x *exchange) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		a.Log.Error("a request handler failed; please report this", "method", x.r.Method, "route", x.route.name,
			"panic", p, "stack", string(debug.Stack()))
		if x.status != 0 {
			// Half an answer must not look like a whole one.
			panic(http.ErrAbortHandler)
		}
		x.fail(a, fault.New(fault.Internal, "internal error"))
	}
	elapsed := time.Since(x.start)
	a.metrics.observe(x, elapsed)
	if x.tokenInURL {
		a.Log.Warn("a request carried its token as ?token=, which is deprecated and ends up in logs of proxies: use the header X-Consul-Token",
			"method", x.r.Method, "route", x.route.name, "from", x.r.RemoteAddr)
	}
	if a.Log.IsDebug() {
		a.Log.Debug("request finished", "method", x.r.Method, "route", x.route.name, "status", x.status,
			"from", x.r.RemoteAddr, "latency", elapsed)
	}
}

// noRoute answers for a path that no endpoint has.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/" && a.UIPath != "":
		http.Redirect(w, r, a.UIPath, http.StatusMovedPermanently)
	case r.URL.Path == "/":
		plainText(w, http.StatusOK, "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent configuration and restart.")
	case a.routes.below(r.URL.Path):
		redirect(w, r.URL.Path+"/", r.URL.RawQuery)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		plainText(w, http.StatusNotFound, "Invalid URL path: not a recognized HTTP API endpoint\n")
	default:
		plainText(w, http.StatusNotFound, "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n")
	}
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// redirect sends a client to another path of this API. The path begins with one slash, so that it cannot be
// taken for another host.
func redirect(w http.ResponseWriter, to, query string) {
	target := (&urlPath{to, query}).String()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusTemporaryRedirect)
	_, _ = io.WriteString(w, `<a href="`+htmlEscape(target)+"\">Temporary Redirect</a>.\n\n")
}

// cleanPath removes empty and dot segments, and keeps a trailing slash (RFC 3986, section 5.2.4).
func cleanPath(p string) string {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") {
		return p
	}
	clean := path.Clean(p)
	if p[len(p)-1] == '/' && clean != "/" {
		clean += "/"
	}
	return clean
}

func printable(p string) bool {
	for i := 0; i < len(p); i++ {
		if p[i] < 0x20 || p[i] == 0x7f {
			return false
		}
		if p[i] >= 0x80 {
			return printableRunes(p)
		}
	}
	return true
}

// mayWrite holds http_config.allow_write_http_from.
func (a *API) mayWrite(r *http.Request) bool {
	if len(a.AllowWriteFrom) == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		// A Unix socket has no address; who may open it was decided by its file's mode.
		return r.RemoteAddr == "@" || r.RemoteAddr == ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, n := range a.AllowWriteFrom {
		if n.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// body reads the request's body, at most as much as the route's limit.
func (x *exchange) body() ([]byte, error) {
	b, err := io.ReadAll(x.r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, fault.New(fault.TooLarge, "Request body too large, max size: %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, bad("Request body could not be read: %v", err)
	}
	return b, nil
}
