package rpc

import (
	"context"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Query names a subscription: a read, its encoded arguments, and what distinguishes views of the same
// arguments by rights.
type Query struct {
	Read, Args, Rights string
}

// FeedConfig describes a Feed.
type FeedConfig struct {
	Pool    *Pool
	Servers *Servers
	// Deliver takes each result; it must not wait long: nothing else is received meanwhile.
	Deliver func(q Query, u *Update)
	// Token returns the token with which a query's results are asked for.
	Token  func(q Query) model.Secret
	Logger hclog.Logger
}

// Feed keeps an agent's subscriptions at one server over one stream, and moves them to another when that
// one fails or the servers are rebalanced. Its calls never wait.
type Feed struct {
	cfg FeedConfig
	log hclog.Logger

	mu     sync.Mutex
	wanted map[Query]*subscription
	// byID are the subscriptions of the stream that is open.
	byID map[uint64]*subscription
	next uint64
	// orders wait to be sent on the stream that is open.
	orders []*Order
	wake   chan struct{}
	server string
}

// subscription is one query of a Feed.
type subscription struct {
	query Query
	id    uint64 // on the open stream; 0 before it was ordered there
	held  model.Index
}

// NewFeed makes a feed; Run works for it.
func NewFeed(cfg FeedConfig) *Feed {
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Token == nil {
		cfg.Token = func(Query) model.Secret { return model.Secret{} }
	}
	return &Feed{cfg: cfg, log: cfg.Logger.Named("feed"), wanted: map[Query]*subscription{}, byID: map[uint64]*subscription{}, wake: make(chan struct{}, 1)}
}

// Subscribe asks for a query's results from now on. resume is the index that is held already. A query that is
// subscribed is left as it is.
func (f *Feed) Subscribe(q Query, resume model.Index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wanted[q] != nil {
		return
	}
	s := &subscription{query: q, held: resume}
	f.wanted[q] = s
	f.order(s)
}

// Unsubscribe ends that; nothing is delivered for q from then on but what is being delivered now.
func (f *Feed) Unsubscribe(q Query) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.wanted[q]
	if s == nil {
		return
	}
	delete(f.wanted, q)
	if f.byID[s.id] != nil {
		delete(f.byID, s.id)
		f.enqueue(&Order{ID: s.id, Cancel: true})
	}
}

// Server is the address of the server that feeds, "" while there is none.
func (f *Feed) Server() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.server
}

// order puts a subscription onto the open stream. The lock is held.
func (f *Feed) order(s *subscription) {
	f.next++
	s.id = f.next
	f.byID[s.id] = s
	req := model.Request{Token: f.cfg.Token(s.query), Read: model.ReadOptions{MinIndex: s.held, Mode: model.ConsistencyStale}}
	f.enqueue(&Order{ID: s.id, Request: RequestOf(req), Read: s.query.Read, Args: []byte(s.query.Args)})
}

func (f *Feed) enqueue(o *Order) {
	f.orders = append(f.orders, o)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// reset begins a stream: everything wanted is ordered anew.
func (f *Feed) reset(server string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server, f.orders, f.byID = server, nil, map[uint64]*subscription{}
	if server == "" {
		return
	}
	for _, s := range f.wanted {
		f.order(s)
	}
}

// Run keeps a stream open until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	pause := firstPause
	var told time.Time
	for ctx.Err() == nil {
		server, ok := f.cfg.Servers.Pick()
		if ok {
			opened := time.Now()
			err := f.stream(ctx, server.Addr)
			f.reset("")
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				continue // moved to another server on purpose
			}
			if time.Since(opened) > 10*time.Second {
				pause = firstPause
			}
			f.cfg.Servers.Failed(server.Addr)
			if time.Since(told) > time.Minute {
				f.log.Warn("views are not fed, showing what is held", "server", server.Addr, "error", err)
				told = time.Now()
			}
		}
		sleep(ctx, pause+mathrand.N(pause))
		pause = min(2*pause, 4*maxPause)
	}
}

// stream feeds from one server until it fails (an error) or another one is the first (nil).
func (f *Feed) stream(ctx context.Context, addr string) error {
	conn, err := f.cfg.Pool.Conn(addr, ClassAgent)
	if err != nil {
		return err
	}
	moved := f.cfg.Servers.Moved()
	if first, ok := f.cfg.Servers.Pick(); !ok || first.Addr != addr {
		return nil // it moved before the channel was taken
	}
	ctx, cancel := context.WithCancel(ctx)
	desc := subscribeDesc()
	s, err := conn.NewStream(ctx, &desc, methodSubscribe)
	if err != nil {
		cancel()
		return errStream(err)
	}
	f.reset(addr)
	f.log.Debug("views are fed", "server", addr)
	failed := make(chan error, 2)
	var both sync.WaitGroup
	both.Add(2)
	go func() { defer both.Done(); failed <- f.sendOrders(ctx, s) }()
	go func() { defer both.Done(); failed <- f.receive(s) }()
	select {
	case err = <-failed:
	case <-moved:
		err = nil
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancel()
	both.Wait()
	return err
}

func (f *Feed) sendOrders(ctx context.Context, s grpc.ClientStream) error {
	for {
		f.mu.Lock()
		orders := f.orders
		f.orders = nil
		f.mu.Unlock()
		for _, o := range orders {
			if err := s.SendMsg(o); err != nil {
				<-ctx.Done() // the reason comes from receive
				return errStream(err)
			}
		}
		if len(orders) > 0 {
			continue
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *Feed) receive(s grpc.ClientStream) error {
	for {
		u := &Update{}
		if err := s.RecvMsg(update{u}); err != nil {
			return errStream(err)
		}
		f.mu.Lock()
		sub := f.byID[u.ID]
		if sub != nil && u.Fault.Text == "" {
			sub.held = u.Meta.Index
		}
		f.mu.Unlock()
		if sub == nil {
			continue
		}
		if err := u.Fault.Err(); err != nil {
			if fault.Is(err, fault.Unavailable) {
				return err // this server cannot; another one may
			}
			f.log.Warn("a view is not fed", "read", sub.query.Read, "error", err, "hint", fault.HintOf(err))
			f.mu.Lock()
			delete(f.byID, u.ID)
			f.mu.Unlock()
		}
		f.cfg.Deliver(sub.query, u)
	}
}
