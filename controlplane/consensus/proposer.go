package consensus

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The bounds of one log entry, and of the entries under way.
const (
	maxBatchCommands = 256
	maxBatchBytes    = 1 << 20
	maxQueued        = 4096
	// maxInFlight entries are proposed before their answers are awaited: while one is being written, the
	// commands that come queue up for the next.
	maxInFlight = 2
	// enqueueTimeout bounds the wait for Raft to take an entry.
	enqueueTimeout = 5 * time.Second
)

// proposal is one command and where its answer goes.
type proposal struct {
	envelope command.Envelope
	answer   chan answer
}

type answer struct {
	outcome command.Outcome
	err     error
}

// proposer joins the commands that wait into one log entry. Its goroutine ends with stop.
type proposer struct {
	raft     *raft.Raft
	queue    chan proposal
	stopping chan struct{}
	stopped  chan struct{}
	slots    chan struct{}
}

func newProposer(r *raft.Raft) *proposer {
	p := &proposer{
		raft: r, queue: make(chan proposal, maxQueued),
		stopping: make(chan struct{}), stopped: make(chan struct{}), slots: make(chan struct{}, maxInFlight),
	}
	go p.run()
	return p
}

func (p *proposer) propose(ctx context.Context, e command.Envelope) (command.Outcome, error) {
	pr := proposal{e, make(chan answer, 1)}
	select {
	case <-p.stopping:
		return command.Outcome{}, fault.New(fault.NotLeader, "this server is stopping")
	default:
	}
	select {
	case p.queue <- pr:
	case <-ctx.Done():
		return command.Outcome{}, fault.New(fault.RateLimited, "too many writes are waiting: %w", ctx.Err())
	case <-p.stopping:
		return command.Outcome{}, fault.New(fault.NotLeader, "this server is stopping")
	}
	select {
	case a := <-pr.answer:
		return a.outcome, a.err
	case <-ctx.Done():
		return command.Outcome{}, fault.New(fault.OutcomeUnknown,
			"the caller stopped waiting while the write was under way; it may or may not have been done: %w", ctx.Err())
	case <-p.stopped:
		select {
		case a := <-pr.answer:
			return a.outcome, a.err
		default:
			return command.Outcome{}, fault.New(fault.OutcomeUnknown, "this server stopped while the write was under way")
		}
	}
}

func (p *proposer) stop() {
	close(p.stopping)
	<-p.stopped
}

func (p *proposer) run() {
	defer close(p.stopped)
	defer p.drain()
	for {
		select {
		case <-p.stopping:
			return
		case p.slots <- struct{}{}:
		}
		batch := p.gather()
		if batch == nil {
			return
		}
		p.submit(batch)
	}
}

// drain refuses what was queued and never proposed.
func (p *proposer) drain() {
	for {
		select {
		case pr := <-p.queue:
			refuse([]proposal{pr}, fault.New(fault.NotLeader, "this server is stopping"))
		default:
			return
		}
	}
}

// gather waits for a command and takes with it all others that are ready, within the bounds of an entry. It
// returns nil when the proposer stops.
func (p *proposer) gather() []proposal {
	var batch []proposal
	select {
	case <-p.stopping:
		return nil
	case pr := <-p.queue:
		batch = append(batch, pr)
	}
	size := len(batch[0].envelope.Body)
	for len(batch) < maxBatchCommands && size < maxBatchBytes {
		select {
		case pr := <-p.queue:
			batch = append(batch, pr)
			size += len(pr.envelope.Body)
		default:
			return batch
		}
	}
	return batch
}

// submit proposes a batch as one entry; its answers are given when Raft has applied it.
func (p *proposer) submit(batch []proposal) {
	entry := make(command.Batch, len(batch))
	for i := range batch {
		entry[i] = batch[i].envelope
	}
	body, err := entry.MarshalMsg(nil)
	if err != nil {
		<-p.slots
		refuse(batch, fault.New(fault.Internal, "encoding a log entry: %w", err))
		return
	}
	future := p.raft.Apply(seal(body), enqueueTimeout)
	go func() {
		err := future.Error()
		<-p.slots
		if err != nil {
			refuse(batch, notLeader(err))
			return
		}
		outcomes, ok := future.Response().([]command.Outcome)
		if !ok {
			refuse(batch, fault.New(fault.Internal, "this server cannot apply the log: %v", future.Response()))
			return
		}
		for i := range batch {
			batch[i].answer <- answer{outcome: outcomes[i], err: outcomes[i].Fault.Err()}
		}
	}()
}

func refuse(batch []proposal, err error) {
	for i := range batch {
		batch[i].answer <- answer{err: err}
	}
}
