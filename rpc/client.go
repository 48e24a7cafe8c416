package rpc

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// ClientConfig describes a Client.
type ClientConfig struct {
	Pool *Pool
	// Route returns the servers of a datacenter, "" being the local one; its error is fault.NoPath.
	Route func(datacenter string) (*Servers, error)
	// Hold is how long a request is tried while there is no leader or no server answers
	// (performance.rpc_hold_timeout); 0 is 7 s.
	Hold time.Duration
	// Attempt bounds one attempt, beyond what a read is to wait; 0 is 2.5 s. A server that is frozen costs this.
	Attempt time.Duration
	Logger  hclog.Logger
}

const (
	defaultHold    = 7 * time.Second
	defaultAttempt = 2500 * time.Millisecond
	// firstPause and maxPause are between attempts that had no server to go to.
	firstPause = 20 * time.Millisecond
	maxPause   = 500 * time.Millisecond
	// maxHops is how often an attempt may follow another without a pause.
	maxHops = 3
)

// Client sends requests to servers. It is the one place that forwards to the leader and to another datacenter.
// It is safe for concurrent use.
type Client struct {
	cfg ClientConfig
	log hclog.Logger
}

// NewClient makes a client.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Hold == 0 {
		cfg.Hold = defaultHold
	}
	if cfg.Attempt == 0 {
		cfg.Attempt = defaultAttempt
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	return &Client{cfg: cfg, log: cfg.Logger.Named("rpc")}
}

// errand is one request with all its attempts.
type errand struct {
	method  string
	request any
	// reply is made anew for each attempt; fault looks into it.
	reply func() (into any, fault *Fault)
	// leader asks for the leader first.
	leader bool
	// once tells that repeating the request after it may have been done is not harmless.
	once bool
	// write tells that an unclear end is fault.OutcomeUnknown.
	write bool
	// patience is added to the bound of one attempt: what the server was asked to wait.
	patience time.Duration
	// repeated, when set, is told before a repetition how much of that has passed.
	repeated func(elapsed time.Duration)
}

// Apply proposes a command and returns its outcome. The request id is set when there is none. A fault of kind
// OutcomeUnknown means that the write may or may not have been done.
func (c *Client) Apply(ctx context.Context, req *ApplyRequest) (*ApplyReply, error) {
	if req.RequestID == "" {
		req.RequestID = rand.Text()
	}
	req.Request.Hold = c.serverHold()
	var out *ApplyReply
	err := c.run(ctx, req.Request.Meta.Datacenter, errand{
		method: methodApply, request: req, leader: true, write: true,
		reply: func() (any, *Fault) { out = &ApplyReply{}; return out, &out.Fault },
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Read returns the result of a declared read, from the leader unless stale will do.
func (c *Client) Read(ctx context.Context, req *ReadRequest) (*ReadReply, error) {
	req.Request.Hold = c.serverHold()
	var out *ReadReply
	e := errand{
		method: methodRead, request: req, leader: req.Request.Meta.Read.Mode != model.ConsistencyStale,
		reply: func() (any, *Fault) { out = &ReadReply{}; return readReply{out}, &out.Fault },
	}
	if o := req.Request.Meta.Read; o.MinIndex > 0 {
		wait := o.MaxWait
		if wait <= 0 {
			wait = 10 * time.Minute // the largest max_query_time that is usual
		}
		e.patience = wait + wait/16
		e.repeated = func(elapsed time.Duration) {
			req.Request.Meta.Read.MaxWait = max(wait-elapsed, time.Millisecond)
		}
	}
	if err := c.run(ctx, req.Request.Meta.Datacenter, e); err != nil {
		return nil, err
	}
	return out, nil
}

// Sign returns a leaf certificate. To ask twice is harmless: a leaf that nobody received expires.
func (c *Client) Sign(ctx context.Context, req *SignRequest) (*SignReply, error) {
	req.Request.Hold = c.serverHold()
	var out *SignReply
	err := c.run(ctx, req.Request.Meta.Datacenter, errand{
		method: methodSign, request: req,
		reply: func() (any, *Fault) { out = &SignReply{}; return out, &out.Fault },
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CallOptions say how Invoke goes about.
type CallOptions struct {
	// Leader sends the call to the leader.
	Leader bool
	// Once tells that the call must not be repeated after it may have been done.
	Once bool
	// Server is the address to call, and no other; "" chooses.
	Server string
}

// Call calls a named method with encoded arguments; see Invoke.
func (c *Client) Call(ctx context.Context, req *CallRequest, o CallOptions) (*CallReply, error) {
	req.Request.Hold = c.serverHold()
	var out *CallReply
	e := errand{
		method: methodCall, request: req, leader: o.Leader, once: o.Once, write: o.Once,
		reply: func() (any, *Fault) { out = &CallReply{}; return out, &out.Fault },
	}
	var err error
	if o.Server != "" {
		var f *Fault
		f, err = c.attempt(ctx, o.Server, &e)
		err = verdict(f, err, &e, false).err
	} else {
		err = c.run(ctx, req.Request.Meta.Datacenter, e)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Invoke calls a method that was made by Method.
func Invoke[A, R any, PA ptr[A], PR ptr[R]](ctx context.Context, c *Client, req model.Request, method string, args *A, o CallOptions) (*R, error) {
	body, err := PA(args).MarshalMsg(nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "encoding the arguments of %s: %v", method, err)
	}
	reply, err := c.Call(ctx, &CallRequest{Request: RequestOf(req), Method: method, Body: body}, o)
	if err != nil {
		return nil, err
	}
	out := new(R)
	if _, err := PR(out).UnmarshalMsg(reply.Body); err != nil {
		return nil, fault.New(fault.Unavailable, "the reply to %s cannot be read: %v", method, err)
	}
	return out, nil
}

// serverHold makes a server say that there is no leader before the attempt is given up as unanswered.
func (c *Client) serverHold() time.Duration { return min(c.cfg.Hold, c.cfg.Attempt/2) }

// run makes attempts until one is answered for good or the time is over.
func (c *Client) run(ctx context.Context, datacenter string, e errand) error {
	servers, err := c.cfg.Route(datacenter)
	if err != nil {
		return err
	}
	begun := time.Now()
	deadline := begun.Add(c.cfg.Hold)
	if e.patience > 0 {
		deadline = time.Time{} // the time to hold on begins when something goes wrong
	}
	var last error
	unclear := false // an attempt may have been carried out
	pause, hops := firstPause, 0
	for {
		target, ok := pick(servers, e.leader)
		if !ok {
			last = fault.New(fault.Unavailable, "No known Consul servers").
				WithHint("this agent knows no server that is alive; see `lictor members`, the servers' logs, and retry_join")
		} else {
			f, err := c.attempt(ctx, target.Addr, &e)
			v := verdict(f, err, &e, unclear)
			unclear = unclear || v.unclear
			if v.final {
				return v.err
			}
			last = v.err
			// Servers that point at each other, or are all away, must not make a busy loop.
			if ctx.Err() == nil && c.redirect(servers, target.Addr, f, err) && hops < maxHops {
				hops++
				continue
			}
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(c.cfg.Hold)
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) || !sleep(ctx, pause+mathrand.N(pause)) {
			return ended(ctx, last, unclear && e.write)
		}
		pause, hops = min(2*pause, maxPause), 0
		if e.repeated != nil {
			e.repeated(time.Since(begun))
		}
	}
}

func pick(s *Servers, leader bool) (ServerAddr, bool) {
	if leader {
		return s.PickLeader()
	}
	return s.Pick()
}

// ended is the error of a request whose time is over.
func ended(ctx context.Context, last error, unknown bool) error {
	switch {
	case unknown:
		return fault.New(fault.OutcomeUnknown, "the write may or may not have been done: %w", last).
			WithHint("read it back before writing again")
	case ctx.Err() != nil:
		return fault.New(fault.Canceled, "the caller stopped waiting: %w", ctx.Err())
	}
	return last
}

// sleep waits, false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// redirect takes from an attempt's end where to turn next. It returns true when that is a better place than
// before, so that there is no reason to wait.
func (c *Client) redirect(servers *Servers, tried string, f *Fault, err error) bool {
	if f == nil || f.Text == "" {
		c.log.Debug("server did not answer", "server", tried, "error", err)
		servers.Failed(tried)
		next, ok := servers.PickLeader()
		return ok && next.Addr != tried && fault.Is(err, fault.Unavailable)
	}
	if fault.Kind(f.Kind) == fault.NotLeader {
		if f.Leader != "" && f.Leader != tried {
			servers.Led(f.Leader)
			return true
		}
		servers.Led("")
	}
	return false
}

// attempt sends the request to one server. The fault is the server's, nil when it did not answer.
func (c *Client) attempt(ctx context.Context, addr string, e *errand) (*Fault, error) {
	conn, err := c.cfg.Pool.Conn(addr, ClassAgent)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Attempt+e.patience)
	defer cancel()
	into, f := e.reply()
	var to peer.Peer
	err = conn.Invoke(ctx, e.method, e.request, into, grpc.Peer(&to))
	if err == nil {
		return f, f.Err()
	}
	return nil, errTransport(addr, err, to.Addr != nil)
}

// errTransport gives a failure of the way its kind: Unavailable when the request surely was not carried
// out, OutcomeUnknown when it may have been, or what the server refused it for.
func errTransport(addr string, err error, sent bool) error {
	text := status.Convert(err).Message()
	switch status.Code(err) {
	case codes.PermissionDenied:
		return fault.New(fault.Permission, "server %s refused: %s", addr, text)
	case codes.ResourceExhausted:
		return fault.New(fault.TooLarge, "server %s: %s", addr, text)
	case codes.Unimplemented:
		return fault.New(fault.Internal, "%s does not answer as a server of this version: %s", addr, text).
			WithHint("is this the RPC port (ports.server) of a Lictor server?")
	}
	if !sent {
		return fault.New(fault.Unavailable, "server %s cannot be reached: %s", addr, text)
	}
	return fault.New(fault.OutcomeUnknown, "server %s did not answer: %s", addr, text)
}

// judgement is what an attempt's end means for its request.
type judgement struct {
	// final tells that there are no more attempts; err is then the request's.
	final bool
	err   error
	// unclear tells that the request may have been carried out.
	unclear bool
}

// verdict judges an attempt. f is the server's fault, nil when it did not answer. before tells that an
// earlier attempt may have been carried out. It is pure.
func verdict(f *Fault, err error, e *errand, before bool) judgement {
	if err == nil {
		return judgement{final: true}
	}
	kind := fault.KindOf(err)
	if f == nil {
		switch kind {
		case fault.Unavailable:
			return judgement{err: err}
		case fault.OutcomeUnknown:
			if e.once {
				return judgement{final: true, err: err, unclear: true}
			}
			return judgement{err: withKind(err, fault.Unavailable), unclear: e.write}
		}
	} else {
		switch kind {
		case fault.NotLeader, fault.NoLeader:
			return judgement{err: withKind(err, fault.NoLeader)}
		case fault.OutcomeUnknown:
			if !e.once {
				return judgement{err: err, unclear: true}
			}
		}
	}
	// The state remembers a request id with its outcome; what a server says before it asks the state does not
	// tell what became of an earlier attempt.
	if before && e.write && !fromState(kind) {
		return judgement{final: true, err: fault.New(fault.OutcomeUnknown, "the write may or may not have been done; repeated, it was refused: %w", err)}
	}
	return judgement{final: true, err: err}
}

// fromState tells whether a fault of that kind is the state's own answer.
func fromState(k fault.Kind) bool {
	return k == fault.Invalid || k == fault.Conflict || k == fault.NotFound
}

// withKind is err for a caller who cannot act on what this package tells apart. Without a leader its text is as recorded.
func withKind(err error, kind fault.Kind) error {
	if kind == fault.NoLeader {
		return fault.New(kind, "No cluster leader").WithHint("%s", fault.HintOf(err))
	}
	return fault.New(kind, "%v", err)
}
