package raftnet

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model/fault"
)

const (
	service         = "lictor.Raft"
	methodAppend    = "/" + service + "/Append"
	methodVote      = "/" + service + "/Vote"
	methodPreVote   = "/" + service + "/PreVote"
	methodTimeout   = "/" + service + "/TimeoutNow"
	methodReplicate = "/" + service + "/Replicate"
	methodSnapshot  = "/" + service + "/Snapshot"
)

// Register adds the service to the RPC port; see rpc.ServerConfig.Register.
func (t *Transport) Register(r grpc.ServiceRegistrar) {
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			t.unary("Append", t.serveAppend),
			t.unary("Vote", func(ctx context.Context, b []byte) ([]byte, error) {
				m, err := decodeVote(b)
				return serve(ctx, t, m, err, encodeVoteReply)
			}),
			t.unary("PreVote", func(ctx context.Context, b []byte) ([]byte, error) {
				m, err := decodePreVote(b)
				return serve(ctx, t, m, err, encodePreVoteReply)
			}),
			t.unary("TimeoutNow", func(ctx context.Context, b []byte) ([]byte, error) {
				h, err := decodeTimeoutNow(b)
				return serve(ctx, t, &raft.TimeoutNowRequest{RPCHeader: h}, err,
					func(r *raft.TimeoutNowResponse) []byte { return encodeTimeoutNow(r.RPCHeader) })
			}),
		},
		Streams: []grpc.StreamDesc{replicateDesc(t.serveReplicate), snapshotDesc(t.serveSnapshot)},
	}, t)
}

func replicateDesc(h func(grpc.ServerStream) error) grpc.StreamDesc {
	return grpc.StreamDesc{StreamName: "Replicate", ClientStreams: true, ServerStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error { return h(s) }}
}

func snapshotDesc(h func(grpc.ServerStream) error) grpc.StreamDesc {
	return grpc.StreamDesc{StreamName: "Snapshot", ClientStreams: true, ServerStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error { return h(s) }}
}

func (t *Transport) unary(name string, method func(context.Context, []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			var req frame
			if err := decode(&req); err != nil {
				return nil, err
			}
			run := func(ctx context.Context, _ any) (any, error) {
				return answerFrame(method(ctx, req.data)), nil
			}
			return intercept(ctx, &req, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/" + service + "/" + name}, run)
		},
	}
}

// dispatch hands a message to Raft and waits for the answer.
func (t *Transport) dispatch(ctx context.Context, m any, r io.Reader) (any, error) {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case t.consume <- raft.RPC{Command: m, Reader: r, RespChan: answer}:
	case <-t.done:
		return nil, raft.ErrTransportShutdown
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return t.await(ctx, answer)
}

func (t *Transport) await(ctx context.Context, answer <-chan raft.RPCResponse) (any, error) {
	select {
	case a := <-answer:
		return a.Response, a.Error
	case <-t.done:
		return nil, raft.ErrTransportShutdown
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve decodes, dispatches and encodes; decodeErr is the decoder's.
func serve[R any](ctx context.Context, t *Transport, m any, decodeErr error, encode func(*R) []byte) ([]byte, error) {
	if decodeErr != nil {
		return nil, decodeErr
	}
	return encodeAnswer(encode)(t.dispatch(ctx, m, nil))
}

func encodeAnswer[R any](encode func(*R) []byte) func(any, error) ([]byte, error) {
	return func(response any, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		r, ok := response.(*R)
		if !ok || r == nil {
			return nil, fault.New(fault.Internal, "Raft answered %T", response)
		}
		return encode(r), nil
	}
}

func (t *Transport) serveAppend(ctx context.Context, b []byte) ([]byte, error) {
	m, err := decodeAppend(b)
	if err != nil {
		return nil, err
	}
	if fn := t.heartbeat.Load(); fn != nil && isHeartbeat(m) {
		answer := make(chan raft.RPCResponse, 1)
		(*fn)(raft.RPC{Command: m, RespChan: answer})
		return encodeAnswer(encodeAppendReply)(t.await(ctx, answer))
	}
	return serve(ctx, t, m, nil, encodeAppendReply)
}

// serveReplicate answers appends in their order; the next is being received while one is worked on. It
// receives on a goroutine of its own, which ends with the stream, so that the transport's end ends the stream.
func (t *Transport) serveReplicate(s grpc.ServerStream) error {
	ctx, cancel := t.bound(s.Context())
	defer cancel()
	arrived, broken := make(chan []byte), make(chan error, 1)
	go func() {
		for {
			b, err := receiveMessage(s)
			if err != nil {
				broken <- err
				return
			}
			select {
			case arrived <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		var b []byte
		select {
		case b = <-arrived:
		case err := <-broken:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-ctx.Done():
			return status.Error(codes.Unavailable, "this server is stopping")
		}
		reply, err := t.serveAppend(ctx, b)
		if ctx.Err() != nil {
			continue
		}
		if err := s.SendMsg(answerFrame(reply, err)); err != nil {
			return err
		}
	}
}

// serveSnapshot gives Raft the snapshot as it arrives.
func (t *Transport) serveSnapshot(s grpc.ServerStream) error {
	ctx, cancel := t.bound(s.Context())
	defer cancel()
	b, err := receiveMessage(s)
	if err != nil {
		return err
	}
	m, err := decodeSnapshot(b)
	if err != nil {
		return s.SendMsg(answerFrame(nil, err))
	}
	if m.Size < 0 {
		return s.SendMsg(answerFrame(nil, fault.New(fault.BadRequest, "snapshot of %d bytes", m.Size)))
	}
	reply, err := encodeAnswer(encodeSnapshotReply)(t.dispatch(ctx, m, io.LimitReader(&snapshotReader{from: s}, m.Size)))
	return s.SendMsg(answerFrame(reply, err))
}

// bound ends a stream's context with the transport.
func (t *Transport) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// snapshotReader reads frames as one stream. A stream that breaks before its last frame is an error, never
// the end: half a snapshot must not be taken for a whole one.
type snapshotReader struct {
	from receiver
	left []byte
	last bool
}

// Read implements io.Reader.
func (r *snapshotReader) Read(b []byte) (int, error) {
	for len(r.left) == 0 {
		if r.last {
			return 0, io.EOF
		}
		var f frame
		if err := r.from.RecvMsg(&f); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		r.left, r.last = f.data, f.flag == flagLast
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}
