package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
)

// Server answers queries on sockets that its caller binds.
type Server struct {
	*settings
	config Config
	logger hclog.Logger
	known  *known
	// working has a place for each query that is being answered.
	working chan struct{}
	// complained is when a failure was last logged, in Unix nanoseconds.
	complained atomic.Int64
}

// maxWorking bounds the queries in work: only a server that does not answer can make so many wait.
const maxWorking = 8192

// maxQuery is the greatest query that is read over UDP, in bytes.
const maxQuery = 4096

// New returns a server; Serve runs it. A Config that cannot work is an error of kind fault.Invalid.
func New(config Config) (*Server, error) {
	if config.Source == nil || config.Reads == nil {
		return nil, fault.New(fault.Invalid, "dns: Source and Reads are required")
	}
	s, err := newSettings(&config)
	if err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.TCP == (netlimit.Limits{}) {
		config.TCP = netlimit.Limits{Total: 1024, PerIP: 128, FirstByte: 5 * time.Second}
	}
	return &Server{settings: s, config: config, logger: config.Logger, known: newKnown(),
		working: make(chan struct{}, maxWorking)}, nil
}

// Serve answers on all sockets until ctx ends, then closes them and returns nil once the queries in work are
// answered, or one of them fails. TCP listeners are given bare: the limits are put on them here.
func (s *Server) Serve(ctx context.Context, packets []net.PacketConn, listeners []net.Listener) error {
	var servers []*dns.Server
	for _, p := range packets {
		servers = append(servers, &dns.Server{PacketConn: p, Handler: s.handler(false), UDPSize: maxQuery})
	}
	for _, l := range listeners {
		limited := netlimit.Wrap(l, netlimit.Config{Name: "dns", Limits: s.config.TCP, Logger: s.logger})
		servers = append(servers, &dns.Server{Listener: limited, Handler: s.handler(true)})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(servers))
	for _, srv := range servers {
		go func() { ended <- serve(ctx, srv) }()
	}
	var first error
	for range servers {
		if err := <-ended; err != nil && first == nil {
			first = err
		}
		cancel() // all sockets live and end together
	}
	return first
}

// drain is how long queries in work may take once their server ends.
const drain = 3 * time.Second

// serve runs one socket until ctx ends.
func serve(ctx context.Context, srv *dns.Server) error {
	started, done := make(chan struct{}), make(chan error, 1)
	srv.NotifyStartedFunc = func() { close(started) }
	go func() { done <- srv.ActivateAndServe() }()
	select {
	case err := <-done: // it never started
		return err
	case <-started:
	}
	select {
	case err := <-done:
		return fmt.Errorf("dns: a socket failed: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := srv.ShutdownContext(late)
	<-done // closed sockets end the loop, whatever it says
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// handler answers the queries of one transport.
func (s *Server) handler(tcp bool) dns.Handler {
	return dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		select {
		case s.working <- struct{}{}:
			defer func() { <-s.working }()
		default:
			_ = w.WriteMsg(refusal(req, dns.RcodeServerFailure, false))
			return
		}
		m := s.guarded(req, tcp)
		if err := w.WriteMsg(m); err != nil {
			s.complain("an answer was not sent", "error", err)
		}
	})
}

// guarded is Answer, with SERVFAIL in place of a panic: no query may end the process.
func (s *Server) guarded(req *dns.Msg, tcp bool) (m *dns.Msg) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("a query hit a fault of this program", "question", req.Question, "fault", p, "stack", string(debug.Stack()))
			m = refusal(req, dns.RcodeServerFailure, false)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	return s.Answer(ctx, req, tcp)
}

// Answer returns the answer to a query that came over TCP or UDP. It waits for views that have no result yet.
func (s *Server) Answer(ctx context.Context, req *dns.Msg, tcp bool) *dns.Msg {
	switch {
	case req.Opcode != dns.OpcodeQuery:
		return refusal(req, dns.RcodeNotImplemented, false)
	case len(req.Question) != 1:
		return refusal(req, dns.RcodeFormatError, false)
	}
	asked := req.Question[0]
	zone := s.zoneOf(asked.Name)
	switch {
	case zone == "", asked.Qclass != dns.ClassINET && asked.Qclass != dns.ClassANY:
		return refusal(req, dns.RcodeRefused, false)
	case asked.Qtype == dns.TypeAXFR, asked.Qtype == dns.TypeIXFR:
		return refusal(req, dns.RcodeNotImplemented, true)
	}
	r := &resolver{
		settings: s.settings, now: time.Now(), below: rand.IntN, room: s.bounds(req.IsEdns0(), tcp).room(),
		catalog: &views{ctx: ctx, source: s.config.Source, reads: s.config.Reads, known: s.known, onlyPassing: s.onlyPassing},
	}
	a, err := r.resolve(question{name: asked.Name, qtype: asked.Qtype, zone: zone})
	if err != nil {
		s.complain("a query could not be answered", "name", asked.Name, "error", err)
	}
	return s.message(req, a, tcp)
}

// complain logs a failure, at most one a second: anybody can send queries.
func (s *Server) complain(message string, args ...any) {
	now, last := time.Now().UnixNano(), s.complained.Load()
	if now-last > int64(time.Second) && s.complained.CompareAndSwap(last, now) {
		s.logger.Warn(message, args...)
	}
}
