package checks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lictor-mesh/lictor/model"
)

// backend answers the status that its path names, as the one behind the recorded answers did.
func backend(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		code = 400
	}
	if code == 302 {
		w.Header().Set("Location", "/200")
		w.WriteHeader(code)
		return
	}
	w.WriteHeader(code)
	if code != 204 {
		fmt.Fprintf(w, "body of %d", code)
	}
}

func TestHTTPStatusDecidesAsRecorded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(backend))
	defer s.Close()
	closed := closedPort(t)
	for _, test := range []struct {
		def    model.CheckDefinition
		status model.Status
		output string
	}{
		{model.CheckDefinition{HTTP: s.URL + "/200"}, model.StatusPassing, "HTTP GET " + s.URL + "/200: 200 OK Output: body of 200"},
		{model.CheckDefinition{HTTP: s.URL + "/204"}, model.StatusPassing, "HTTP GET " + s.URL + "/204: 204 No Content Output: "},
		{model.CheckDefinition{HTTP: s.URL + "/302"}, model.StatusPassing, "HTTP GET " + s.URL + "/302: 200 OK Output: body of 200"},
		{model.CheckDefinition{HTTP: s.URL + "/302", DisableRedirects: true}, model.StatusCritical, "HTTP GET " + s.URL + "/302: 302 Found Output: "},
		{model.CheckDefinition{HTTP: s.URL + "/404"}, model.StatusCritical, "HTTP GET " + s.URL + "/404: 404 Not Found Output: body of 404"},
		{model.CheckDefinition{HTTP: s.URL + "/429"}, model.StatusWarning, "HTTP GET " + s.URL + "/429: 429 Too Many Requests Output: body of 429"},
		{model.CheckDefinition{HTTP: s.URL + "/500"}, model.StatusCritical, "HTTP GET " + s.URL + "/500: 500 Internal Server Error Output: body of 500"},
		{model.CheckDefinition{HTTP: "http://" + closed + "/"}, model.StatusCritical, `Get "http://` + closed + `/": dial tcp ` + closed + `: connect: connection refused`},
	} {
		wantResult(t, once(t, testEnv(), test.def), test.status, test.output)
	}
}

func TestHTTPSendsWhatTheDefinitionSays(t *testing.T) {
	got := make(chan *http.Request, 1)
	body := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body <- string(b)
		got <- r
	}))
	defer s.Close()
	once(t, testEnv(), model.CheckDefinition{HTTP: s.URL, Method: "PUT", Body: "x", Header: map[string][]string{"x-a": {"1", "2"}, "Host": {"h.example"}}})
	r := <-got
	if r.Method != "PUT" || <-body != "x" || r.Host != "h.example" || len(r.Header.Values("X-A")) != 2 || r.UserAgent() != UserAgent {
		t.Errorf("got %s %s %v", r.Method, r.Host, r.Header)
	}
}

func TestPasswordsInURLsAreNotShown(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(backend))
	defer s.Close()
	addr := s.Listener.Addr().String()
	for _, at := range []string{addr + "/200", closedPort(t) + "/"} {
		if r := once(t, testEnv(), model.CheckDefinition{HTTP: "http://me:hush@" + at}); strings.Contains(r.Output, "hush") {
			t.Errorf("got %q", r.Output)
		}
	}
}

func TestRedirectToMetadataIsRefused(t *testing.T) {
	s := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/latest/meta-data/", http.StatusFound))
	defer s.Close()
	r := once(t, testEnv(), model.CheckDefinition{HTTP: s.URL, Timeout: 2 * time.Second})
	if r.Status != model.StatusCritical || !strings.Contains(r.Output, "refusing to connect to 169.254.169.254") {
		t.Errorf("got %s %q", r.Status, r.Output)
	}
}

func TestRedirectsAreFew(t *testing.T) {
	hops := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hops++
		http.Redirect(w, r, "/", http.StatusFound)
	}))
	defer s.Close()
	r := once(t, testEnv(), model.CheckDefinition{HTTP: s.URL})
	if r.Status != model.StatusCritical || hops != maxRedirects+1 {
		t.Errorf("%d hops: %s %q", hops, r.Status, r.Output)
	}
}

func TestRedirectToAnotherHostCarriesNoHeadersOfTheDefinition(t *testing.T) {
	got := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer s.Close()
	once(t, testEnv(), model.CheckDefinition{HTTP: s.URL, Header: map[string][]string{"x-api-key": {"secret"}}})
	if h := <-got; h.Get("X-Api-Key") != "" || h.Get("User-Agent") != UserAgent {
		t.Errorf("got %v", h)
	}
}

func TestHTTPBodyIsBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 4 << 10 {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	env := testEnv()
	env.OutputMaxSize = 100
	r := once(t, env, model.CheckDefinition{HTTP: s.URL})
	if r.Status != model.StatusPassing || len(r.Output) > 300 || !strings.HasSuffix(r.Output, "(captured 100 of 1048576 bytes)") {
		t.Errorf("%d bytes", len(r.Output))
	}
}

func TestACheckThatHangsFailsAtItsTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	for _, d := range []model.CheckDefinition{
		{HTTP: "http://" + addr},
		{TCP: addr, TCPUseTLS: true},
		{GRPC: addr},
		{H2PING: addr},
	} {
		d.Timeout = 50 * time.Millisecond
		if r := once(t, testEnv(), d); r.Status != model.StatusCritical {
			t.Errorf("%s: %s %q", d.Type(), r.Status, r.Output)
		}
	}
}

func TestTCPConnects(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	addr := s.Listener.Addr().String()
	wantResult(t, once(t, testEnv(), model.CheckDefinition{TCP: addr}), model.StatusPassing, "TCP connect "+addr+": Success")
	_, port, _ := net.SplitHostPort(addr)
	wantResult(t, once(t, testEnv(), model.CheckDefinition{TCP: "localhost:" + port}), model.StatusPassing, "TCP connect localhost:"+port+": Success")
	closed := closedPort(t)
	wantResult(t, once(t, testEnv(), model.CheckDefinition{TCP: closed}), model.StatusCritical, "dial tcp "+closed+": connect: connection refused")
}

func TestTLSIsVerifiedUnlessToldNotTo(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	addr := s.Listener.Addr().String()
	for _, d := range []model.CheckDefinition{{TCP: addr, TCPUseTLS: true}, {HTTP: s.URL}} {
		if r := once(t, testEnv(), d); r.Status != model.StatusCritical || !strings.Contains(r.Output, "certificate") {
			t.Errorf("%s: %s %q", d.Type(), r.Status, r.Output)
		}
		d.TLSSkipVerify = true
		if r := once(t, testEnv(), d); r.Status != model.StatusPassing {
			t.Errorf("%s: %s %q", d.Type(), r.Status, r.Output)
		}
	}
}

func TestUDPFailsOnlyWhenRefused(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := silent.LocalAddr().String()
	d := model.CheckDefinition{UDP: addr, Timeout: 50 * time.Millisecond}
	wantResult(t, once(t, testEnv(), d), model.StatusPassing, "UDP connect "+addr+": Success")
	silent.Close()
	if r := once(t, testEnv(), d); r.Status != model.StatusCritical || !strings.HasSuffix(r.Output, "read: connection refused") {
		t.Errorf("got %s %q", r.Status, r.Output)
	}
}

func TestGRPCAsksTheHealthService(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := health.NewServer()
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, h)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	addr := l.Addr().String()
	h.SetServingStatus("svc", healthpb.HealthCheckResponse_SERVING)
	wantResult(t, once(t, testEnv(), model.CheckDefinition{GRPC: addr + "/svc"}), model.StatusPassing, "gRPC check "+addr+": success")
	h.SetServingStatus("svc", healthpb.HealthCheckResponse_NOT_SERVING)
	if r := once(t, testEnv(), model.CheckDefinition{GRPC: addr + "/svc"}); r.Status != model.StatusCritical || !strings.Contains(r.Output, "NOT_SERVING") {
		t.Errorf("got %s %q", r.Status, r.Output)
	}
	closed := closedPort(t)
	wantResult(t, once(t, testEnv(), model.CheckDefinition{GRPC: closed}), model.StatusCritical,
		`rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp `+closed+`: connect: connection refused"`)
}

func TestH2PingIsAcknowledged(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	addr := s.Listener.Addr().String()
	d := model.CheckDefinition{H2PING: addr, H2PingUseTLS: true, TLSSkipVerify: true}
	wantResult(t, once(t, testEnv(), d), model.StatusPassing, "HTTP2 ping was successful")
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if r := once(t, testEnv(), model.CheckDefinition{H2PING: plain.Listener.Addr().String()}); r.Status != model.StatusCritical {
		t.Errorf("a server of HTTP/1 acknowledged: %q", r.Output)
	}
	closed := closedPort(t)
	wantResult(t, once(t, testEnv(), model.CheckDefinition{H2PING: closed, H2PingUseTLS: true}), model.StatusCritical,
		"Failed to dial to "+closed+": dial tcp "+closed+": connect: connection refused")
}

func TestDialConnectsToWhatWasResolvedAndJudged(t *testing.T) {
	env := testEnv()
	// A name that leads to the metadata address is refused like the address.
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", l.LocalAddr().String())
	}}
	go answerA(l, netip.MustParseAddr("169.254.169.254"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = env.dial(ctx, "tcp", "innocent.example.:80")
	if err == nil || !strings.Contains(err.Error(), "refusing to connect to 169.254.169.254") {
		t.Errorf("got %v", err)
	}
}

// answerA answers every DNS question with one address.
func answerA(l net.PacketConn, a netip.Addr) {
	buf := make([]byte, 512)
	for {
		n, from, err := l.ReadFrom(buf)
		if err != nil {
			return
		}
		q := buf[:n]
		end := 12
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		question := q[12 : end+5]
		reply := append([]byte{q[0], q[1], 0x85, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
		if question[len(question)-3] == 1 {
			reply[7] = 1
			ip := a.As4()
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ip[0], ip[1], ip[2], ip[3])
		}
		_, _ = l.WriteTo(reply, from)
	}
}
