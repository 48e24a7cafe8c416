package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// told is a readiness with the lines that it led to.
type told struct {
	r     readiness
	began time.Time
	lines []string
}

func (l *told) at(after time.Duration, reasons ...string) {
	switch ready, waiting := l.r.note(l.began.Add(after), reasons); {
	case ready:
		l.lines = append(l.lines, "ready")
	case waiting != "":
		l.lines = append(l.lines, waiting)
	}
}

func TestNormalStartLogsReadyAlone(t *testing.T) {
	l := told{began: time.Unix(1000, 0)}
	for n := range 6 {
		l.at(time.Duration(n)*3*time.Millisecond, fmt.Sprint("reason ", n))
	}
	l.at(20 * time.Millisecond)
	l.at(time.Second)
	// A moment later on is told of neither at its begin nor at its end.
	l.at(time.Hour, "a certificate")
	l.at(time.Hour + 500*time.Millisecond)
	if want := []string{"ready"}; !slices.Equal(l.lines, want) {
		t.Errorf("%q, want %q", l.lines, want)
	}
}

func TestLastingUnreadinessIsLoggedOnceForEachSetOfReasons(t *testing.T) {
	l := told{began: time.Unix(1000, 0)}
	for n := range 3600 {
		l.at(time.Duration(n)*time.Second, "a", "b")
	}
	l.at(time.Hour, "b")
	l.at(time.Hour + time.Second)
	l.at(time.Hour+2*time.Second, "b")
	l.at(time.Hour+4*time.Second, "b") // lasts, but the last line is fresh
	l.at(time.Hour+11*time.Second, "b")
	l.at(time.Hour + 12*time.Second)
	if want := []string{"a; b", "b", "ready", "b", "ready"}; !slices.Equal(l.lines, want) {
		t.Errorf("%q, want %q", l.lines, want)
	}
}

func TestAlternatingReasonsAreLoggedOnceInTenSeconds(t *testing.T) {
	l := told{began: time.Unix(1000, 0)}
	for n := range 240 {
		l.at(time.Duration(n)*250*time.Millisecond, fmt.Sprint("reason ", n%3))
	}
	if len(l.lines) < 2 || len(l.lines) > 6 {
		t.Errorf("%d lines in a minute: %q", len(l.lines), l.lines)
	}
}

func TestReasonsAreBounded(t *testing.T) {
	reasons := make([]string, 1000)
	for n := range reasons {
		reasons[n] = strings.Repeat("é", 500)
	}
	if text := joined(reasons); len(text) > 1100 || !strings.HasSuffix(text, "; and 995 more") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}

func TestLimiterCountsWhatItLeftOutOfEachKind(t *testing.T) {
	var l limiter
	var got []string
	write := func(msg string, args ...any) {
		got = append(got, strings.TrimSpace(fmt.Sprintln(append([]any{msg}, args...)...)))
	}
	at := func(ms int, msg string) {
		l.log(time.Unix(5, 0).Add(time.Duration(ms)*time.Millisecond), write, msg, "k", "v")
	}
	at(0, "cut")
	at(1, "cut")
	at(2, "cut")
	at(3, "denied")
	at(1001, "cut")
	at(1004, "denied")
	if want := []string{"cut k v", "denied k v", "cut k v suppressed 2", "denied k v"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// idle is a source that says nothing.
type idle struct{}

func (idle) Run(context.Context, resource.Sink) {}

func TestFirstDenialOfEachKindSourceAndIntentionIsLogged(t *testing.T) {
	var log strings.Builder
	p, err := New(Config{Service: "db", Source: idle{}, Registry: prometheus.NewRegistry(),
		Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
	if err != nil {
		t.Fatal(err)
	}
	const cut, refused = "an open connection is cut off", "connection denied by intention"
	l := &listener{p: p, name: "public"}
	deny := func(what, source, policy string) {
		p.denied(l, identity.ID("spiffe://d/ns/default/dc/dc1/svc/"+source), rbac.Decision{Policy: policy}, what)
	}
	deny(cut, "web", "web->db")
	deny(cut, "web", "web->db")
	deny(refused, "web", "web->db")
	deny(refused, "api", "api->db")
	deny(refused, "api", "*->db")
	if n := strings.Count(log.String(), "\n"); n != 4 || strings.Count(log.String(), refused) != 3 || strings.Contains(log.String(), "suppressed") {
		t.Errorf("%d lines:\n%s", n, &log)
	}
	// Sources without end share what is left.
	for n := range 2 * maxDenialSeries {
		deny(refused, fmt.Sprint("s", n), "*->db")
	}
	if n := len(p.denials.seen); n > maxDenialSeries+1 {
		t.Errorf("%d series", n)
	}
}
