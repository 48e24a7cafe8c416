package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// servicePrefix begins the gRPC name of every service of this port.
const servicePrefix = "lictor."

const (
	agentService    = servicePrefix + "Agent"
	methodApply     = "/" + agentService + "/Apply"
	methodRead      = "/" + agentService + "/Read"
	methodSign      = "/" + agentService + "/Sign"
	methodCall      = "/" + agentService + "/Call"
	methodSubscribe = "/" + agentService + "/Subscribe"
)

// served is what the service's methods run on.
type served interface {
	apply(ctx context.Context, req *ApplyRequest) *ApplyReply
	read(ctx context.Context, req *ReadRequest) readReply
	sign(ctx context.Context, req *SignRequest) *SignReply
	call(ctx context.Context, req *CallRequest) *CallReply
	subscribe(stream grpc.ServerStream) error
}

// serviceDesc is written by hand: there is no protobuf to generate it from.
func serviceDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: agentService,
		HandlerType: (*served)(nil),
		Methods: []grpc.MethodDesc{
			unary("Apply", served.apply),
			unary("Read", served.read),
			unary("Sign", served.sign),
			unary("Call", served.call),
		},
		Streams: []grpc.StreamDesc{subscribeDesc()},
	}
}

func subscribeDesc() grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName: "Subscribe", ClientStreams: true, ServerStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error { return srv.(served).subscribe(stream) },
	}
}

func unary[Q, R any](name string, method func(served, context.Context, *Q) R) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			req := new(Q)
			if err := decode(req); err != nil {
				return nil, err
			}
			run := func(ctx context.Context, req any) (any, error) { return method(srv.(served), ctx, req.(*Q)), nil }
			return intercept(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/" + agentService + "/" + name}, run)
		},
	}
}

func (s *Server) apply(ctx context.Context, req *ApplyRequest) *ApplyReply {
	if err := whole("command", req.Body); err != nil {
		return &ApplyReply{Fault: FaultOf(err)}
	}
	reply, err := s.cfg.Handler.Apply(ctx, req)
	if reply == nil {
		reply = &ApplyReply{}
	}
	if err != nil {
		reply.Fault = s.faultOf(err)
	}
	return reply
}

func (s *Server) read(ctx context.Context, req *ReadRequest) readReply {
	if err := whole("arguments of the read "+req.Read, req.Args); err != nil {
		return readReply{&ReadReply{Fault: FaultOf(err)}}
	}
	reply, err := s.cfg.Handler.Read(ctx, req)
	if reply == nil {
		reply = &ReadReply{}
	}
	if err != nil {
		reply.Fault = s.faultOf(err)
	}
	return readReply{reply}
}

func (s *Server) sign(ctx context.Context, req *SignRequest) *SignReply {
	reply, err := s.cfg.Handler.Sign(ctx, req)
	if reply == nil {
		reply = &SignReply{}
	}
	if err != nil {
		reply.Fault = s.faultOf(err)
	}
	return reply
}

func (s *Server) call(ctx context.Context, req *CallRequest) *CallReply {
	method, ok := s.cfg.Calls[req.Method]
	if !ok {
		return &CallReply{Fault: FaultOf(fault.New(fault.Unavailable, "this server has no RPC method %q", req.Method).
			WithHint("bring all servers and agents to one version"))}
	}
	if err := whole("arguments of the RPC method "+req.Method, req.Body); err != nil {
		return &CallReply{Fault: FaultOf(err)}
	}
	body, err := method(ctx, req)
	return &CallReply{Body: body, Fault: s.faultOf(err)}
}

// CallFunc answers a CallRequest with the reply's body.
type CallFunc func(ctx context.Context, req *CallRequest) ([]byte, error)

// ptr is a pointer to a generated message.
type ptr[T any] interface {
	*T
	message
}

// Method makes a CallFunc of a function on generated messages.
func Method[A, R any, PA ptr[A], PR ptr[R]](fn func(ctx context.Context, req model.Request, args *A) (*R, error)) CallFunc {
	return func(ctx context.Context, req *CallRequest) ([]byte, error) {
		args := new(A)
		if _, err := PA(args).UnmarshalMsg(req.Body); err != nil {
			return nil, fault.New(fault.BadRequest, "arguments of the RPC method %s cannot be read: %v", req.Method, err)
		}
		reply, err := fn(ctx, req.Request.Model(), args)
		if err != nil {
			return nil, err
		}
		return PR(reply).MarshalMsg(nil)
	}
}
