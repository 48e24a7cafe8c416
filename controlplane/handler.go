package controlplane

import (
	"context"
	"sync"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/rpc"
)

// handler answers other agents' requests on a server.
type handler struct{ server *Server }

// Handler returns what the server's RPC port answers with.
func (s *Server) Handler() rpc.Handler { return handler{s} }

// Apply implements rpc.Handler: the command is validated again, since it comes from outside.
func (h handler) Apply(ctx context.Context, req *rpc.ApplyRequest) (*rpc.ApplyReply, error) {
	if err := h.server.here(req.Request.Model()); err != nil {
		return nil, err
	}
	c, err := command.Decode(command.Kind(req.Kind), req.Body)
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e, err := command.Wrap(c, req.RequestID, h.server.now())
	if err != nil {
		return nil, fault.New(fault.Internal, "encoding a command: %w", err)
	}
	outcome, err := h.server.Propose(ctx, e)
	if err != nil {
		return nil, err
	}
	body, err := outcome.MarshalMsg(nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "encoding an outcome: %w", err)
	}
	return &rpc.ApplyReply{Index: outcome.Index, Result: body}, nil
}

// Read implements rpc.Handler.
func (h handler) Read(ctx context.Context, req *rpc.ReadRequest) (*rpc.ReadReply, error) {
	r, meta, err := h.server.Read(ctx, req.Request.Model(), view.Query{Read: req.Read, Args: string(req.Args)})
	if err != nil {
		return nil, err
	}
	return &rpc.ReadReply{Meta: meta, Body: r.Encoded()}, nil
}

// Sign implements rpc.Handler.
func (h handler) Sign(ctx context.Context, req *rpc.SignRequest) (*rpc.SignReply, error) {
	leaf, err := h.server.Sign(ctx, req.Request.Model(), req.CSR, req.Service)
	if err != nil {
		return nil, err
	}
	return &rpc.SignReply{Leaf: *leaf}, nil
}

// Subscribe implements rpc.Handler: an agent's view is fed from this server's.
func (h handler) Subscribe(ctx context.Context, o *rpc.Order, push func(rpc.Update)) (func(), error) {
	req := o.Request.Model()
	if err := h.server.here(req); err != nil {
		return nil, err
	}
	w, err := h.server.engine.Watch(view.Query{Read: o.Read, Args: string(o.Args)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { h.feed(ctx, w, req.Read.MinIndex, push) })
	return func() {
		cancel()
		ended.Wait()
		w.Close()
	}, nil
}

// feed pushes each new result of a view until ctx ends. Nothing is pushed before this server has heard of a
// leader, since it may know nothing yet.
func (h handler) feed(ctx context.Context, w *view.Watch, held model.Index, push func(rpc.Update)) {
	if h.server.awaitCaughtUp(ctx) != nil {
		return
	}
	var last *view.Result
	for {
		r, changed := w.Current()
		fresh := last != nil && r.Epoch() != last.Epoch()
		if r != last && (last != nil || r.Index() != held) {
			push(rpc.Update{Meta: h.server.meta(r, model.ConsistencyStale), Fresh: fresh, Body: r.Encoded()})
		}
		last = r
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
