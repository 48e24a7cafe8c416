package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// stub is an agent that gives written answers. Its file reads:
//
//	> GET /v1/agent/self           method and path with query; several with the same are answered in order, the last for ever
//	< 200 X-Lictor-Hint: text      status, and optionally one header
//	{"Config":{}}                  body, until the next ">"
type stub struct {
	mu      sync.Mutex
	answers map[string][]answer
	asked   []string
}

type answer struct {
	status        int
	header, value string
	body          string
}

func newStub(text string) *stub {
	s := &stub{answers: make(map[string][]answer)}
	for _, part := range strings.Split("\n"+text, "\n> ")[1:] {
		request, rest, _ := strings.Cut(part, "\n")
		line, body, _ := strings.Cut(rest, "\n")
		status, header, _ := strings.Cut(strings.TrimPrefix(line, "< "), " ")
		a := answer{body: strings.TrimSpace(body)}
		a.status, _ = strconv.Atoi(status)
		a.header, a.value, _ = strings.Cut(header, ": ")
		s.answers[request] = append(s.answers[request], a)
	}
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	key := r.Method + " " + r.URL.RequestURI()
	line := key
	if token := r.Header.Get("X-Consul-Token"); token != "" {
		line += " token=" + token
	}
	if text := strings.TrimSpace(string(body)); text != "" {
		line += " " + text
	}
	s.mu.Lock()
	s.asked = append(s.asked, line)
	left := s.answers[key]
	if len(left) > 1 {
		s.answers[key] = left[1:]
	}
	s.mu.Unlock()
	if len(left) == 0 {
		w.WriteHeader(http.StatusNotImplemented)
		fmt.Fprintf(w, "the stub has no answer for %s", key)
		return
	}
	a := left[0]
	if a.header != "" {
		w.Header().Set(a.header, a.value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func startStub(ts *testscript.TestScript, _ bool, args []string) {
	s := newStub(ts.ReadFile(args[0]))
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	addr := strings.TrimPrefix(server.URL, "http://")
	ts.Setenv("LICTOR_HTTP_ADDR", addr)
	ts.Setenv("STUB", addr)
	current.Store(ts.Name(), s)
}

// current holds the stub of each running script, since testscript gives its commands nothing of the test's own.
var current sync.Map

func compareRequests(ts *testscript.TestScript, _ bool, args []string) {
	s, ok := current.Load(ts.Name())
	if !ok {
		ts.Fatalf("no stub was started")
	}
	st := s.(*stub)
	st.mu.Lock()
	defer st.mu.Unlock()
	got, want := strings.Join(st.asked, "\n"), strings.TrimSpace(ts.ReadFile(args[0]))
	if got != want {
		ts.Fatalf("the stub was asked:\n%s\nwant:\n%s", got, want)
	}
	st.asked = nil
}

func awaitRequests(ts *testscript.TestScript, _ bool, args []string) {
	s, ok := current.Load(ts.Name())
	if !ok {
		ts.Fatalf("no stub was started")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	st := s.(*stub)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		st.mu.Lock()
		got := len(st.asked)
		st.mu.Unlock()
		if got >= want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the stub was asked %d times, want %d", got, want)
		}
	}
}
