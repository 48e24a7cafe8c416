package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// maxRedirects is how many redirects an HTTP check follows.
const maxRedirects = 5

// maxBody is how much of an answer is read at most; what is kept is less.
const maxBody = 1 << 20

type httpProbe struct {
	def *model.CheckDefinition
	// shown is the URL without a password: outputs are seen by all who may read the catalog.
	shown  string
	client *http.Client
	limit  int
}

// newHTTP makes a check that sends a request: 2xx is passing, 429 a warning, all else critical. Redirects are
// followed unless disabled, each to a freshly resolved and judged address.
func newHTTP(s Spec, env *Env) (Check, error) {
	d := &s.Definition
	target, err := url.Parse(d.HTTP)
	if err != nil || (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" {
		return nil, fault.New(fault.BadRequest, "Invalid check: HTTP %q is not an http or https URL", d.HTTP)
	}
	p := &httpProbe{def: d, shown: d.HTTP, client: httpClient(d, env, target), limit: env.outputLimit(d)}
	if target.User != nil {
		p.shown = target.Redacted()
	}
	return every(s, env, p, DefaultTimeout), nil
}

func httpClient(d *model.CheckDefinition, env *Env, target *url.URL) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return env.dial(ctx, network, addr)
			},
			// The server name follows the host of each hop unless the definition sets it.
			TLSClientConfig:        env.tlsConfig(d, ""),
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case d.DisableRedirects:
				return http.ErrUseLastResponse
			case len(via) > maxRedirects:
				return fmt.Errorf("stopped after %d redirects", maxRedirects)
			case r.URL.Scheme != "http" && r.URL.Scheme != "https":
				return fmt.Errorf("refusing a redirect to scheme %q", r.URL.Scheme)
			}
			if !strings.EqualFold(r.URL.Host, target.Host) {
				// The definition's headers may carry credentials; they are meant for the host it names.
				for k := range d.Header {
					r.Header.Del(k)
				}
				setDefaultHeaders(r)
			}
			return nil
		},
	}
}

// Probe implements Probe.
func (p *httpProbe) Probe(ctx context.Context) Result {
	method := p.def.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, p.def.HTTP, strings.NewReader(p.def.Body))
	if err != nil {
		return critical(err)
	}
	for k, values := range p.def.Header {
		r.Header[http.CanonicalHeaderKey(k)] = append([]string(nil), values...)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	setDefaultHeaders(r)
	resp, err := p.client.Do(r)
	if err != nil {
		return critical(timedOut(ctx, err))
	}
	defer resp.Body.Close()
	body := output{limit: p.limit}
	if _, err := io.Copy(&body, io.LimitReader(resp.Body, maxBody)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return critical(timedOut(ctx, err))
	}
	text := fmt.Sprintf("HTTP %s %s: %s Output: %s", method, p.shown, resp.Status, &body)
	return Result{Status: httpStatus(resp.StatusCode), Output: text}
}

func setDefaultHeaders(r *http.Request) {
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", UserAgent)
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/plain, text/*, */*")
	}
}

func httpStatus(code int) model.Status {
	switch {
	case code >= 200 && code < 300:
		return model.StatusPassing
	case code == http.StatusTooManyRequests:
		return model.StatusWarning
	default:
		return model.StatusCritical
	}
}

// timedOut keeps the operation that err names, and says that it was the check's timeout that ended it.
func timedOut(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errTimeout) {
		return fmt.Errorf("%w (%w)", err, errTimeout)
	}
	return err
}
