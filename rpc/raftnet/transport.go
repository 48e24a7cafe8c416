package raftnet

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/rpc"
)

// Config describes a Transport.
type Config struct {
	// Address is where the peers reach this server's RPC port.
	Address raft.ServerAddress
	Pool    *rpc.Pool
	// Resolve returns a server's present address, when it is known better than by Raft's configuration; nil never does.
	Resolve func(id raft.ServerID) (raft.ServerAddress, bool)
	// Timeout bounds a message and its answer; 0 is 10 s. A snapshot has that much for each 256 KiB.
	Timeout time.Duration
	// HeartbeatTimeout bounds a heartbeat, so that heartbeats go on soon after a peer or the line was away; 0 is 2 s.
	HeartbeatTimeout time.Duration
	// MaxInFlight is how many appends are under way to one follower before their answers; 0 is 2, which
	// hashicorp/raft found best, 1 turns pipelining off.
	MaxInFlight int
	Logger      hclog.Logger
}

const (
	defaultTimeout   = 10 * time.Second
	defaultHeartbeat = 2 * time.Second
	timeoutScale     = 256 << 10
	// maxUnary is up to where a message is one unary call; above it goes over a stream, in frames.
	maxUnary = 1 << 20
)

// Transport is a raft.Transport over the RPC port.
type Transport struct {
	cfg       Config
	consume   chan raft.RPC
	heartbeat atomic.Pointer[func(raft.RPC)]
	closing   context.Context
	close     context.CancelFunc
	done      <-chan struct{}
}

var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
)

// New makes a transport. Its Register must be given to the RPC server.
func New(cfg Config) *Transport {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.HeartbeatTimeout == 0 {
		cfg.HeartbeatTimeout = defaultHeartbeat
	}
	if cfg.MaxInFlight == 0 {
		cfg.MaxInFlight = raft.DefaultMaxRPCsInFlight
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	t := &Transport{cfg: cfg, consume: make(chan raft.RPC)}
	t.closing, t.close = context.WithCancel(context.Background())
	t.done = t.closing.Done()
	return t
}

// Close ends what is under way, here and from peers. The pool stays open.
func (t *Transport) Close() error { t.close(); return nil }

// Consumer implements raft.Transport.
func (t *Transport) Consumer() <-chan raft.RPC { return t.consume }

// LocalAddr implements raft.Transport.
func (t *Transport) LocalAddr() raft.ServerAddress { return t.cfg.Address }

// EncodePeer implements raft.Transport.
func (t *Transport) EncodePeer(id raft.ServerID, addr raft.ServerAddress) []byte {
	return []byte(t.address(id, addr))
}

// DecodePeer implements raft.Transport.
func (t *Transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler implements raft.Transport.
func (t *Transport) SetHeartbeatHandler(fn func(raft.RPC)) {
	if fn == nil {
		t.heartbeat.Store(nil)
		return
	}
	t.heartbeat.Store(&fn)
}

func (t *Transport) address(id raft.ServerID, addr raft.ServerAddress) raft.ServerAddress {
	if t.cfg.Resolve != nil {
		if now, ok := t.cfg.Resolve(id); ok {
			return now
		}
	}
	return addr
}

func (t *Transport) conn(id raft.ServerID, addr raft.ServerAddress, class rpc.Class) (*grpc.ClientConn, error) {
	return t.cfg.Pool.Conn(string(t.address(id, addr)), class)
}

// call sends one message and returns the answer.
func (t *Transport) call(id raft.ServerID, addr raft.ServerAddress, method string, b []byte, timeout time.Duration) ([]byte, error) {
	conn, err := t.conn(id, addr, rpc.ClassRaft)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.closing, timeout)
	defer cancel()
	var answer frame
	if err := conn.Invoke(ctx, method, &frame{flagLast, b}, &answer); err != nil {
		return nil, errPeer(addr, err)
	}
	return answer.bodyOf()
}

func errPeer(addr raft.ServerAddress, err error) error {
	return fault.New(fault.Unavailable, "server %s: %s", addr, status.Convert(err).Message())
}

// AppendEntries implements raft.Transport.
func (t *Transport) AppendEntries(id raft.ServerID, addr raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	b := encodeAppend(args)
	timeout := t.cfg.Timeout
	if isHeartbeat(args) {
		timeout = min(timeout, t.cfg.HeartbeatTimeout)
	}
	if len(b) > maxUnary {
		return t.appendOverStream(id, addr, b, resp)
	}
	answer, err := t.call(id, addr, methodAppend, b, timeout)
	if err != nil {
		return err
	}
	return decodeAppendReply(answer, resp)
}

func (t *Transport) appendOverStream(id raft.ServerID, addr raft.ServerAddress, b []byte, resp *raft.AppendEntriesResponse) error {
	ctx, cancel := context.WithTimeout(t.closing, t.cfg.Timeout)
	defer cancel()
	s, err := t.replicate(ctx, id, addr)
	if err != nil {
		return err
	}
	if err := sendMessage(s, b); err != nil && err != io.EOF { // io.EOF: the reason is received
		return errPeer(addr, err)
	}
	var answer frame
	if err := s.RecvMsg(&answer); err != nil {
		return errPeer(addr, err)
	}
	body, err := answer.bodyOf()
	if err != nil {
		return err
	}
	return decodeAppendReply(body, resp)
}

func (t *Transport) replicate(ctx context.Context, id raft.ServerID, addr raft.ServerAddress) (grpc.ClientStream, error) {
	conn, err := t.conn(id, addr, rpc.ClassRaft)
	if err != nil {
		return nil, err
	}
	desc := replicateDesc(nil)
	s, err := conn.NewStream(ctx, &desc, methodReplicate)
	if err != nil {
		return nil, errPeer(addr, err)
	}
	return s, nil
}

// RequestVote implements raft.Transport.
func (t *Transport) RequestVote(id raft.ServerID, addr raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	answer, err := t.call(id, addr, methodVote, encodeVote(args), t.cfg.Timeout)
	if err != nil {
		return err
	}
	return decodeVoteReply(answer, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t *Transport) RequestPreVote(id raft.ServerID, addr raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	answer, err := t.call(id, addr, methodPreVote, encodePreVote(args), t.cfg.Timeout)
	if err != nil {
		return err
	}
	return decodePreVoteReply(answer, resp)
}

// TimeoutNow implements raft.Transport.
func (t *Transport) TimeoutNow(id raft.ServerID, addr raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	answer, err := t.call(id, addr, methodTimeout, encodeTimeoutNow(args.RPCHeader), t.cfg.Timeout)
	if err != nil {
		return err
	}
	resp.RPCHeader, err = decodeTimeoutNow(answer)
	return err
}

// InstallSnapshot implements raft.Transport. The snapshot is read as the peer takes it.
func (t *Transport) InstallSnapshot(id raft.ServerID, addr raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	conn, err := t.conn(id, addr, rpc.ClassSnapshot)
	if err != nil {
		return err
	}
	timeout := max(t.cfg.Timeout, t.cfg.Timeout*time.Duration(args.Size/timeoutScale))
	ctx, cancel := context.WithTimeout(t.closing, timeout)
	defer cancel()
	desc := snapshotDesc(nil)
	s, err := conn.NewStream(ctx, &desc, methodSnapshot)
	if err != nil {
		return errPeer(addr, err)
	}
	err = sendMessage(s, encodeSnapshot(args))
	for err == nil {
		// A buffer for each frame: gRPC may still hold the last one.
		buf := make([]byte, timeoutScale)
		n, readErr := io.ReadFull(data, buf)
		if readErr == nil {
			err = s.SendMsg(&frame{flagMore, buf[:n]})
			continue
		}
		if readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return fault.New(fault.Unavailable, "reading the snapshot for server %s: %v", addr, readErr)
		}
		if err = s.SendMsg(&frame{flagLast, buf[:n]}); err == nil {
			break
		}
	}
	if err != nil && err != io.EOF {
		return errPeer(addr, err)
	}
	var answer frame
	if err := s.RecvMsg(&answer); err != nil {
		return errPeer(addr, err)
	}
	body, err := answer.bodyOf()
	if err != nil {
		return err
	}
	return decodeSnapshotReply(body, resp)
}

// AppendEntriesPipeline implements raft.Transport.
func (t *Transport) AppendEntriesPipeline(id raft.ServerID, addr raft.ServerAddress) (raft.AppendPipeline, error) {
	if t.cfg.MaxInFlight < 2 {
		return nil, raft.ErrPipelineReplicationNotSupported
	}
	ctx, cancel := context.WithCancel(t.closing)
	s, err := t.replicate(ctx, id, addr)
	if err != nil {
		cancel()
		return nil, err
	}
	p := &pipeline{
		addr: addr, timeout: t.cfg.Timeout, stream: s, ctx: ctx, cancel: cancel,
		// One more is being sent and one awaited, as in raft's own transport.
		waiting: make(chan *future, t.cfg.MaxInFlight-2), ready: make(chan raft.AppendFuture, t.cfg.MaxInFlight-2),
	}
	p.ended.Add(1)
	go p.receive()
	return p, nil
}

// pipeline is one stream of appends to a follower.
type pipeline struct {
	addr    raft.ServerAddress
	timeout time.Duration
	stream  grpc.ClientStream
	ctx     context.Context
	cancel  context.CancelFunc
	waiting chan *future
	ready   chan raft.AppendFuture
	ended   sync.WaitGroup
}

// AppendEntries implements raft.AppendPipeline. It waits while as many are under way as may be.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &future{start: time.Now(), args: args, resp: resp, done: make(chan struct{})}
	stuck := time.AfterFunc(p.timeout, p.cancel) // SendMsg waits as long as the follower takes nothing
	err := sendMessage(p.stream, encodeAppend(args))
	stuck.Stop()
	if err != nil {
		return nil, raft.ErrPipelineShutdown
	}
	select {
	case p.waiting <- f:
		return f, nil
	case <-p.ctx.Done():
		return nil, raft.ErrPipelineShutdown
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.ready }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.cancel()
	p.ended.Wait()
	return nil
}

// receive gives each append its answer, in order, until the pipeline ends.
func (p *pipeline) receive() {
	defer p.ended.Done()
	for {
		var f *future
		select {
		case f = <-p.waiting:
		case <-p.ctx.Done():
			return
		}
		late := time.AfterFunc(p.timeout, p.cancel)
		f.finish(p.answer(f.resp))
		late.Stop()
		select {
		case p.ready <- f:
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *pipeline) answer(resp *raft.AppendEntriesResponse) error {
	var answer frame
	if err := p.stream.RecvMsg(&answer); err != nil {
		return errPeer(p.addr, err)
	}
	body, err := answer.bodyOf()
	if err != nil {
		return err
	}
	return decodeAppendReply(body, resp)
}

// future is an append under way.
type future struct {
	start time.Time
	args  *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	done  chan struct{}
	err   error
}

func (f *future) finish(err error) { f.err = err; close(f.done) }

// Error implements raft.Future.
func (f *future) Error() error { <-f.done; return f.err }

// Start implements raft.AppendFuture.
func (f *future) Start() time.Time { return f.start }

// Request implements raft.AppendFuture.
func (f *future) Request() *raft.AppendEntriesRequest { return f.args }

// Response implements raft.AppendFuture.
func (f *future) Response() *raft.AppendEntriesResponse { return f.resp }
