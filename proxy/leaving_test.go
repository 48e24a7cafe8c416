package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/proxy"
	"github.com/lictor-mesh/lictor/proxy/internal/meshtest"
)

// leaseFunc is a lease that does what the control plane would: it takes the endpoint out of its subscribers' sets.
type leaseFunc func() <-chan struct{}

func (f leaseFunc) Withdraw(context.Context) (<-chan struct{}, func(), error) {
	return f(), func() {}, nil
}

// countingApp answers lines, and remembers which requests it took.
type countingApp struct {
	mu    sync.Mutex
	taken map[string]bool
}

func (a *countingApp) serve(t testing.TB) net.Addr {
	return serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			a.mu.Lock()
			a.taken[line] = true
			a.mu.Unlock()
			time.Sleep(2 * time.Millisecond) // the work
			if _, err := io.WriteString(c, "ok "+line); err != nil {
				return
			}
		}
	})
}

func (a *countingApp) took(line string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken[line+"\n"]
}

func TestDrainLosesNoRequest(t *testing.T) {
	apps := [2]*countingApp{{taken: map[string]bool{}}, {taken: map[string]bool{}}}
	var two *twoInstances
	var withdrawn atomic.Bool
	two = startTwo(t, [2]net.Addr{apps[0].serve(t), apps[1].serve(t)}, func(c *proxy.Config) {
		c.Timing.Drain = 8 * time.Second
		c.Timing.Quiet = 100 * time.Millisecond
		c.Lease = leaseFunc(func() <-chan struct{} {
			done := make(chan struct{})
			two.web.endpoints("db", two.public[1])
			two.web.push()
			withdrawn.Store(true)
			time.AfterFunc(50*time.Millisecond, func() { close(done) })
			return done
		})
	})
	var serial, answered, repeated atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	// Short connections: not one may fail.
	for range 2 {
		load.Go(func() {
			for !stopped() {
				line := fmt.Sprint("short ", serial.Add(1))
				if got, err := tryAsk(two.upstream, line); err != nil || got != "ok "+line {
					t.Errorf("%s: %q, %v", line, got, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	// Connections in steady use: one that ends must not have taken the request with it.
	for range 4 {
		load.Go(func() {
			var c *caller
			for !stopped() {
				line := fmt.Sprint("kept ", serial.Add(1))
				for {
					if c == nil {
						c = dial(t, two.upstream)
					}
					_, err := c.ask(line)
					if err == nil {
						break
					}
					if apps[0].took(line) || apps[1].took(line) {
						t.Errorf("%s was taken, and its answer lost: %v", line, err)
						return
					}
					_, c = c.Close(), nil
					repeated.Add(1)
				}
				answered.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	resting := dial(t, two.upstream)
	resting.must("resting")
	eventually(t, "load flows", func() bool { return answered.Load() > 200 })

	began := time.Now()
	if err := two.db[0].Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if !withdrawn.Load() {
		t.Error("the lease was not asked")
	}
	after := answered.Load()
	eventually(t, "load still flows", func() bool { return answered.Load() > after+100 })
	close(stop)
	load.Wait()
	select {
	case err := <-two.db[0].ended:
		two.db[0].ended <- err
		if err != nil {
			t.Error("Run:", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Run does not return after the drain")
	}
	t.Logf("drained in %v; %d requests, %d sent again", took, answered.Load(), repeated.Load())
	if n := two.db[0].counter("lictor_proxy_connections_cut_total", "deadline"); n != 0 {
		t.Errorf("%v connections were cut off at the deadline", n)
	}
}

func TestDrainWaitsForTheAnswerAndEndsAtTheDeadline(t *testing.T) {
	release := make(chan struct{})
	app := serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		line, _ := bufio.NewReader(c).ReadString('\n')
		if strings.HasPrefix(line, "never") {
			<-release
			time.Sleep(time.Second)
			return
		}
		<-release
		_, _ = io.WriteString(c, "late answer\n")
	})
	ca := meshtest.NewCA(t, "a.consul")
	db, public := startSidecar(t, ca, "db", func(c *proxy.Config) {
		c.Timing.Drain, c.Timing.Quiet = time.Second, time.Millisecond
	}), freeAddr(t)
	db.public(public, app)
	db.up()
	web, upstream := startSidecar(t, ca, "web", nil), freeAddr(t)
	web.upstream(upstream, "db", public)
	web.up()
	slow, never := dial(t, upstream), dial(t, upstream)
	_, _ = io.WriteString(slow, "slow\n")
	_, _ = io.WriteString(never, "never\n")
	eventually(t, "both are under way", func() bool { return db.counter("lictor_proxy_connections_open") == 2 })
	drained := make(chan error, 1)
	go func() { drained <- db.Drain(context.Background()) }()
	eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", public)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(release)
	if got, err := slow.in.ReadString('\n'); err != nil || got != "late answer\n" {
		t.Errorf("the request under way got %q, %v", got, err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := never.ends(); !isReset(err) {
		t.Errorf("what is cut off at the deadline ends with %v, want a reset", err)
	}
}

func TestAdminAddressShowsStateAndDrains(t *testing.T) {
	ca := meshtest.NewCA(t, "a.consul")
	s := startSidecar(t, ca, "db", nil)
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + s.AdminAddr().String() + path)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := get("/ready"); code != 503 || strings.Count(body, "\n") != 1 {
		t.Errorf("/ready: %d %q", code, body)
	}
	public := freeAddr(t)
	s.public(public, lineApp(t, "db1"))
	s.up()
	if code, body := get("/ready"); code != 200 || body != "ready\n" {
		t.Errorf("/ready: %d %q", code, body)
	}
	s.source.sink().Report("the agent is away")
	eventually(t, "/ready says that the source is away", func() bool {
		code, body := get("/ready")
		return code == 200 && strings.Contains(body, "the agent is away")
	})
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "lictor_proxy_ready 1") || !strings.Contains(body, "lictor_proxy_leaf_expiry_timestamp_seconds") {
		t.Errorf("/metrics: %d\n%s", code, body)
	}
	web, upstream := startSidecar(t, ca, "web", nil), freeAddr(t)
	web.upstream(upstream, "db", public)
	web.up()
	dial(t, upstream).must("x")
	if code, body := get("/connections"); code != 200 || !strings.Contains(body, ca.ID("web")) {
		t.Errorf("/connections: %d %s", code, body)
	}
	if code, _ := get("/drain"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET /drain: %d", code)
	}
	resp, err := http.Post("http://"+s.AdminAddr().String()+"/drain", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("POST /drain: %d", resp.StatusCode)
	}
	select {
	case err := <-s.ended:
		s.ended <- err
	case <-time.After(10 * time.Second):
		t.Error("does not end")
	}
}

func TestRestingConnectionToADepartedEndpointIsEnded(t *testing.T) {
	two := startTwo(t, [2]net.Addr{lineApp(t, "db1"), lineApp(t, "db2")}, func(c *proxy.Config) {
		c.Timing.Quiet = 20 * time.Millisecond
	})
	var to [2]*caller
	for to[0] == nil || to[1] == nil {
		c := dial(t, two.upstream)
		to[c.must("x")[2]-'1'] = c
	}
	two.web.endpoints("db", two.public[1])
	two.web.push()
	if err := to[0].ends(); err != nil {
		t.Errorf("ended with %v, want an orderly end", err)
	}
	to[1].must("the other one stays")
	// Without another endpoint there is nowhere better to go.
	two.web.endpoints("db")
	two.web.push()
	_ = to[1].SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // many times the quiet time
	if _, err := to[1].in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the resting connection ended with %v", err)
	}
	_ = to[1].SetDeadline(time.Now().Add(5 * time.Second))
	to[1].must("still")
}
