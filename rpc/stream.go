package rpc

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lictor-mesh/lictor/model/fault"
)

// outbox holds, for each subscription of one stream, at most one result that was not sent.
type outbox struct {
	mu sync.Mutex
	// slots of live subscriptions; an ended one is gone, and what is pushed to it is dropped.
	slots map[uint64]*slot
	// due are the ids whose slot is full, in the order in which they became so: no subscription starves another.
	due []uint64
	// wake has room for one, and is filled when due is not empty.
	wake chan struct{}
	// ended tells that the stream is: an order that is still being taken opens nothing.
	ended bool
}

type slot struct {
	newest *Update // nil when all was sent
	cancel func()
}

func newOutbox() *outbox {
	return &outbox{slots: map[uint64]*slot{}, wake: make(chan struct{}, 1)}
}

// open makes a place; false when there is one of that id, or limit are taken.
func (o *outbox) open(id uint64, limit int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || o.slots[id] != nil || len(o.slots) >= limit {
		return false
	}
	o.slots[id] = &slot{}
	return true
}

// put keeps u as the newest of its subscription, and drops the one that was not sent.
func (o *outbox) put(u Update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.slots[u.ID]
	if s == nil {
		return
	}
	if s.newest == nil {
		o.due = append(o.due, u.ID)
	} else if s.newest.Fresh {
		u.Fresh = true // what it tells is not lost with the result
	}
	s.newest = &u
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns the next result to send, nil when there is none.
func (o *outbox) take() *Update {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.due) > 0 {
		id := o.due[0]
		o.due = o.due[1:]
		if s := o.slots[id]; s != nil && s.newest != nil {
			u := s.newest
			s.newest = nil
			return u
		}
	}
	return nil
}

// hold keeps what ends the subscription. When the subscription has ended meanwhile, it is ended now.
func (o *outbox) hold(id uint64, cancel func()) {
	o.mu.Lock()
	s := o.slots[id]
	if s != nil {
		s.cancel = cancel
	}
	o.mu.Unlock()
	if s == nil {
		cancel()
	}
}

// end lets a subscription go. Its cancel runs outside the lock: it may wait for a push under way.
func (o *outbox) end(id uint64) {
	o.mu.Lock()
	s := o.slots[id]
	delete(o.slots, id)
	o.mu.Unlock()
	if s != nil && s.cancel != nil {
		s.cancel()
	}
}

func (o *outbox) endAll() {
	o.mu.Lock()
	slots := o.slots
	o.slots, o.ended = nil, true
	o.mu.Unlock()
	for _, s := range slots {
		if s.cancel != nil {
			s.cancel()
		}
	}
}

// subscribe serves one stream. Its goroutine takes orders; the one it starts sends, and ends with it.
func (s *Server) subscribe(stream grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	box := newOutbox()
	sender := make(chan struct{})
	go func() {
		defer close(sender)
		// Without its sender the stream is of no use: ending ctx does not end RecvMsg, returning from the handler does.
		send(ctx, stream, box)
	}()
	orders := make(chan error, 1)
	go func() { orders <- s.takeOrders(ctx, stream, box) }() // ends when the handler has returned
	var err error
	select {
	case err = <-orders:
	case <-sender:
		err = status.Error(codes.Unavailable, "the stream is broken")
	case <-s.stopping.Done():
		err = status.Error(codes.Unavailable, "this server is stopping")
	}
	cancel()
	box.endAll()
	<-sender
	return err
}

func send(ctx context.Context, stream grpc.ServerStream, box *outbox) {
	for {
		u := box.take()
		if u == nil {
			select {
			case <-box.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if u.Fault.Text != "" {
			box.end(u.ID)
		}
		if stream.SendMsg(update{u}) != nil {
			return
		}
	}
}

func (s *Server) takeOrders(ctx context.Context, stream grpc.ServerStream, box *outbox) (err error) {
	defer s.caught(methodSubscribe, &err) // outside the interceptor's goroutine
	for {
		o := &Order{}
		if err := stream.RecvMsg(o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if o.Cancel {
			box.end(o.ID)
			continue
		}
		if !box.open(o.ID, s.cfg.MaxSubscriptions) {
			return status.Errorf(codes.ResourceExhausted, "subscription %d is one too many, or is there already; %d may be open", o.ID, s.cfg.MaxSubscriptions)
		}
		id := o.ID
		push := func(u Update) { u.ID = id; box.put(u) }
		if err := whole("arguments of the read "+o.Read, o.Args); err != nil {
			push(Update{Fault: FaultOf(err)})
			continue
		}
		cancel, err := s.cfg.Handler.Subscribe(ctx, o, push)
		if err != nil {
			push(Update{Fault: s.faultOf(err)})
			continue
		}
		box.hold(id, cancel)
	}
}

// errStream turns the end of a stream into an error with a kind.
func errStream(err error) error {
	switch status.Code(err) {
	case codes.Canceled:
		return fault.New(fault.Canceled, "the stream was ended here")
	case codes.PermissionDenied:
		return fault.New(fault.Permission, "the server refused the stream: %v", status.Convert(err).Message())
	case codes.ResourceExhausted:
		return fault.New(fault.TooLarge, "the stream ended: %v", status.Convert(err).Message())
	}
	return fault.New(fault.Unavailable, "the stream ended: %v", status.Convert(err).Message())
}
