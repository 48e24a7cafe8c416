package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The admin address is for the operator on the same host: few connections, small requests.
const (
	adminConnections = 64
	adminHeader      = 16 << 10
	adminTimeout     = 10 * time.Second
)

// serveAdmin serves /ready, /metrics, /drain and /connections until the proxy stops.
func (p *Proxy) serveAdmin() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", p.adminReady)
	mux.HandleFunc("PUT /drain", p.adminDrain)
	mux.HandleFunc("POST /drain", p.adminDrain)
	mux.HandleFunc("GET /connections", p.adminConnections)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	server := &http.Server{Handler: hardened(mux), ReadHeaderTimeout: adminTimeout, ReadTimeout: adminTimeout,
		WriteTimeout: adminTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: adminHeader,
		ErrorLog: p.log.StandardLogger(nil)}
	p.running.Go(func() {
		if err := server.Serve(newBounded(p.admin, adminConnections)); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("the admin address is closed", "error", err)
		}
	})
	p.running.Go(func() {
		<-p.stopped()
		_ = server.Close()
	})
}

// hardened bounds bodies, and keeps a browser from taking an answer for something else.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func (p *Proxy) adminReady(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	lines := p.Waiting()
	if len(lines) == 0 {
		fmt.Fprintln(w, "ready")
		if away := p.sourceWaiting(); away != "" {
			fmt.Fprintln(w, "working on the last known state:", away)
		}
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintln(w, strings.Join(lines, "\n"))
}

func (p *Proxy) adminDrain(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	p.startDrain()
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, "draining")
}

// connection is one row of /connections.
type connection struct {
	Listener string  `json:"listener"`
	From     string  `json:"from"`
	Peer     string  `json:"peer,omitempty"`
	Cluster  string  `json:"cluster,omitempty"`
	Endpoint string  `json:"endpoint,omitempty"`
	Seconds  float64 `json:"seconds"`
	Up       uint64  `json:"bytes_up"`
	Down     uint64  `json:"bytes_down"`
}

// maxRows bounds the answer of /connections.
const maxRows = 1000

func (p *Proxy) adminConnections(w http.ResponseWriter, _ *http.Request) {
	rows := make([]connection, 0)
	now := time.Now()
	for _, l := range p.everyListener() {
		l.each(func(k *link) {
			if len(rows) == maxRows {
				return
			}
			row := connection{Listener: l.name, From: k.raw.RemoteAddr().String(), Peer: string(k.peer), Seconds: now.Sub(k.since).Seconds()}
			if c, to, e := k.traffic(); c != nil {
				row.Up, row.Down = c.Bytes()
				row.Cluster, row.Endpoint = to.name, e.Address.Text
			}
			rows = append(rows, row)
		})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(rows)
}

// bounded is a listener with at most so many connections; further ones wait in the kernel's queue.
type bounded struct {
	net.Listener
	slots chan struct{}
}

func newBounded(l net.Listener, n int) *bounded { return &bounded{l, make(chan struct{}, n)} }

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	b.slots <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{Conn: c, slots: b.slots}, nil
}

type boundedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

// Close implements net.Conn, and gives the place back.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
