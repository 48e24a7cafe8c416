package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/proxy"
	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
	"github.com/lictor-mesh/lictor/proxy/rbac"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// lines is a log that tests can read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// direct is a source that lets a test speak to the sink itself.
type direct struct {
	started chan struct{}
	to      resource.Sink
}

func newDirect() *direct { return &direct{started: make(chan struct{})} }

func (d *direct) Run(ctx context.Context, sink resource.Sink) {
	sink.Report("nothing set yet")
	d.to = sink
	close(d.started)
	<-ctx.Done()
}

func (d *direct) sink() resource.Sink {
	<-d.started
	return d.to
}

// sidecar is a proxy under test with what it was told.
type sidecar struct {
	t       testing.TB
	ca      *meshtest.CA
	service string
	*proxy.Proxy
	source   *direct
	state    *resource.State
	log      *lines
	registry *prometheus.Registry
	ended    chan error
	cancel   context.CancelFunc
}

// startSidecar runs a proxy that has its certificates and nothing else yet.
func startSidecar(t testing.TB, ca *meshtest.CA, service string, tune func(*proxy.Config)) *sidecar {
	t.Helper()
	s := &sidecar{t: t, ca: ca, service: service, source: newDirect(), state: resource.NewState(),
		log: &lines{}, registry: prometheus.NewRegistry(), ended: make(chan error, 1)}
	cfg := proxy.Config{Service: model.ServiceName(service), Source: s.source, AdminAddr: "127.0.0.1:0", Registry: s.registry,
		Logger: hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Debug})}
	if tune != nil {
		tune(&cfg)
	}
	p, err := proxy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Proxy = p
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-s.ended:
			if err != nil {
				t.Error("Run:", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", service, s.log)
		}
	})
	s.state.Secrets["leaf"] = &resource.Secret{Name: "leaf", Leaf: ca.Identity(t, service)}
	s.state.Secrets["roots"] = &resource.Secret{Name: "roots", Roots: ca.Roots(t)}
	return s
}

var credentials = resource.Credentials{LeafName: "leaf", RootsName: "roots"}

// public gives the sidecar a public listener that leads to an application.
func (s *sidecar) public(addr string, app net.Addr, chain ...rbac.Rules) {
	name := "public_listener:" + addr
	s.state.Listeners[name] = &resource.Listener{Name: name, Address: balance.Address{Network: "tcp", Text: addr},
		TLS: &resource.ServerTLS{Credentials: credentials}, Cluster: "local_app", Authorization: chain}
	s.state.Clusters["local_app"] = &resource.Cluster{Name: "local_app", ConnectTimeout: time.Second,
		Static: []balance.Member{{Address: balance.Address{Network: "tcp", Text: app.String()}}}}
}

// upstream gives the sidecar a listener for a service with endpoints.
func (s *sidecar) upstream(addr, service string, endpoints ...string) {
	name := service + ":" + addr
	s.state.Listeners[name] = &resource.Listener{Name: name, Address: balance.Address{Network: "tcp", Text: addr}, Cluster: service}
	s.state.Clusters[service] = &resource.Cluster{Name: service, EndpointsName: service, ConnectTimeout: 2 * time.Second,
		TLS: &resource.ClientTLS{Credentials: credentials, Expected: []identity.ID{identity.ID(s.ca.ID(service))}}}
	s.endpoints(service, endpoints...)
}

func (s *sidecar) endpoints(service string, addrs ...string) {
	e := &resource.Endpoints{Name: service}
	for _, a := range addrs {
		e.Members = append(e.Members, balance.Member{Address: balance.Address{Network: "tcp", Text: a}})
	}
	s.state.Endpoints[service] = e
}

// push hands the state on. It is in force when push returns.
func (s *sidecar) push() {
	s.source.sink().Apply(s.state.Clone())
	s.source.sink().Report("")
}

// up pushes and waits until the sidecar is ready.
func (s *sidecar) up() {
	s.t.Helper()
	s.push()
	select {
	case <-s.Ready():
	case <-time.After(5 * time.Second):
		s.t.Fatalf("not ready: %q", s.Waiting())
	}
}

// counter sums the samples of a metric whose labels have the given values.
func (s *sidecar) counter(name string, labels ...string) (sum float64) {
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			all := true
			for _, want := range labels {
				all = all && strings.Contains("\x00"+strings.Join(values, "\x00")+"\x00", "\x00"+want+"\x00")
			}
			if all {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// eventually polls until ok, and fails the test when it takes too long.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// freeAddr is a loopback address that was free a moment ago.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// serve runs an application that handles each connection by h, and returns its address.
func serve(t testing.TB, h func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h(c)
		}
	}()
	return l.Addr()
}

// lineApp answers each line with its name and the line, until the caller ends.
func lineApp(t testing.TB, name string) net.Addr {
	return serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, name+" "+line); err != nil {
				return
			}
		}
	})
}

// caller is a connection of an application that speaks lines.
type caller struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, addr string) *caller {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &caller{t, c, bufio.NewReader(c)}
}

// ask sends a line and returns the answer without its end.
func (c *caller) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := c.in.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// must asks and wants an answer.
func (c *caller) must(line string) string {
	c.t.Helper()
	answer, err := c.ask(line)
	if err != nil {
		c.t.Fatalf("asked %q: %v", line, err)
	}
	return answer
}

// outcome dials and reads until the connection ends, and returns how it ended. A reset may come before dial returns.
func outcome(addr string) error {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.Copy(io.Discard, c)
	return err
}

// tryAsk asks one line on a connection of its own, which may be refused at any point.
func tryAsk(addr, line string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return (&caller{Conn: c, in: bufio.NewReader(c)}).ask(line)
}

// ends reads until the connection ends and returns how: nil for an orderly end.
func (c *caller) ends() error {
	_, err := io.Copy(io.Discard, c.in)
	return err
}

func isReset(err error) bool {
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "reset")
}

// pair is web's sidecar with an upstream to db's sidecar.
type pair struct {
	ca       *meshtest.CA
	web, db  *sidecar
	upstream string // where web's application dials db
	public   string // db's public address
}

func startPair(t testing.TB, app net.Addr, chain ...rbac.Rules) *pair {
	t.Helper()
	ca := meshtest.NewCA(t, "a.consul")
	p := &pair{ca: ca, upstream: freeAddr(t), public: freeAddr(t)}
	p.db = startSidecar(t, ca, "db", nil)
	p.db.public(p.public, app, chain...)
	p.db.up()
	p.web = startSidecar(t, ca, "web", nil)
	p.web.upstream(p.upstream, "db", p.public)
	p.web.up()
	return p
}

func TestRequestGoesThroughThePair(t *testing.T) {
	p := startPair(t, lineApp(t, "db1"))
	if got := dial(t, p.upstream).must("hello"); got != "db1 hello" {
		t.Fatalf("got %q", got)
	}
}
