package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/proxy/resource"
)

// reports collects what a source waits for.
type reports chan string

func (r reports) Apply(*resource.State) {}
func (r reports) Report(waiting string) { r <- waiting }

// await returns once the source has reported something with each of the texts, in that order.
func (r reports) await(t *testing.T, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, text := range texts {
		for got := ""; !strings.Contains(got, text) || text == ""; {
			select {
			case got = <-r:
			case <-ctx.Done():
				t.Fatalf("the source did not report %q", text)
			}
		}
	}
}

func TestASidecarWaitsForAgentAndRegistrationAndSaysSo(t *testing.T) {
	var stage atomic.Int32 // 0 broken, 1 not registered, 2 registered
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case stage.Load() == 0:
			http.Error(w, "starting", http.StatusInternalServerError)
		case r.URL.Path == "/v1/agent/self":
			fmt.Fprint(w, `{"xDS":{"Ports":{"Plaintext":1,"TLS":-1}}}`)
		case stage.Load() == 1:
			fmt.Fprint(w, `{"web":{"ID":"web","Service":"web"}}`)
		default:
			fmt.Fprint(w, `{"p":{"Kind":"connect-proxy","ID":"p","Service":"x","Proxy":{"DestinationServiceName":"web","DestinationServiceID":"web-1"}}}`)
		}
	}))
	defer server.Close()
	cl := testClient(t, server.URL)
	s := &agentSource{cl: cl, log: hclog.NewNullLogger(), registry: prometheus.NewRegistry(),
		who: &registered{want: "a sidecar", find: func() (sidecar, error) { return findSidecar(cl, "web-1") }}}
	got := make(reports, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx, got) }()
	got.await(t, "500 (starting)")
	stage.Store(1)
	got.await(t, "a sidecar is not registered with the agent yet")
	stage.Store(2)
	got.await(t, "127.0.0.1:1") // the ADS client takes over, and nothing listens there
	cancel()
	wait(t, "the source to end", done)
	if who := s.who.known(); who != (sidecar{"p", "web"}) {
		t.Errorf("found %v", who)
	}
}

func TestTwoSidecarsOfAServiceMustBeToldApart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		const one = `{"Kind":"connect-proxy","ID":"%s","Proxy":{"DestinationServiceName":"web","DestinationServiceID":"web"}}`
		fmt.Fprintf(w, `{"b":`+one+`,"a":`+one+`}`, "b", "a")
	}))
	defer server.Close()
	_, err := findSidecar(testClient(t, server.URL), "web")
	var a *ambiguous
	if !errors.As(err, &a) || !strings.HasSuffix(err.Error(), "-proxy-id and one of the following IDs: a, b") {
		t.Fatalf("error %v", err)
	}
}

func TestXDSAddressIsWhereTheAgentSays(t *testing.T) {
	ports := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"xDS":{%s}}`, ports)
	}))
	defer server.Close()
	cl := testClient(t, server.URL)
	for _, c := range []struct {
		ports, flag string
		addr        string
		tls         bool
	}{
		{`"Ports":{"Plaintext":8502,"TLS":8503}`, "", "127.0.0.1:8502", false},
		{`"Ports":{"Plaintext":-1,"TLS":8503}`, "", "127.0.0.1:8503", true},
		{`"Port":8502`, "", "127.0.0.1:8502", false},
		{``, "10.0.0.1:99", "10.0.0.1:99", false},
		{``, "https://10.0.0.1:99", "10.0.0.1:99", true},
		{``, "unix:///run/xds.sock", "unix:///run/xds.sock", false},
		{``, "", "", false},
	} {
		ports = c.ports
		got, err := (&grpcTarget{addr: c.flag}).resolve(cl)
		if c.addr == "" {
			if err == nil {
				t.Errorf("an agent without xDS gives %v", got)
			}
			continue
		}
		if err != nil || got.addr != c.addr || (got.tls != nil) != c.tls {
			t.Errorf("%s %s: %v, TLS %v, %v; want %s, %v", c.ports, c.flag, got.addr, got.tls != nil, err, c.addr, c.tls)
		}
	}
}
