package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// hintHeader is the response header in which an agent says how to mend a refused request, in one line.
const hintHeader = "X-Lictor-Hint"

// hintTransport remembers of the last exchange what helps the user on: the agent's hint, or why there was no answer.
type hintTransport struct {
	next    http.RoundTripper
	addr    string // as the user named the agent
	program string

	mu     sync.Mutex
	hint   string
	header http.Header
}

// RoundTrip implements http.RoundTripper.
func (t *hintTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hint, t.header = "", nil
	switch {
	case err != nil:
		t.hint = t.noAnswer(err)
	default:
		t.hint, t.header = resp.Header.Get(hintHeader), resp.Header
	}
	return resp, err
}

func (t *hintTransport) lastHint() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hint
}

// lastHeader returns one header of the last answer, "" without an answer.
func (t *hintTransport) lastHeader(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.header.Get(name)
}

// noAnswer says what to do about a request that failed before an answer came.
func (t *hintTransport) noAnswer(err error) string {
	var op *net.OpError
	var record tls.RecordHeaderError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Sprintf("the certificate of the agent at %s is not trusted: name its CA with -ca-file or LICTOR_CACERT, "+
			"or the name it carries with -tls-server-name", t.addr)
	case errors.As(err, &record):
		return fmt.Sprintf("the agent at %s does not speak TLS there: use http:// in -http-addr and unset LICTOR_HTTP_SSL and CONSUL_HTTP_SSL", t.addr)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Sprintf("no agent answers at %s: start one (%q), or name another with -http-addr or LICTOR_HTTP_ADDR",
			t.addr, t.program+" agent -dev")
	}
	return ""
}
