package gossip

import (
	"github.com/hashicorp/serf/serf"

	"github.com/lictor-mesh/lictor/model"
)

// EventKind is what happened.
type EventKind uint8

// The kinds of event.
const (
	// Joined is a member that is there, for the first time or again.
	Joined EventKind = iota
	// Left is a member that said goodbye.
	Left
	// Failed is a member that no longer answers.
	Failed
	// Updated is a member whose tags or address changed.
	Updated
	// Reaped is a member that was forgotten, after it left or failed long ago or was force-left with prune.
	Reaped
	// User is a user event.
	User
)

// String names the kind for logs.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

var eventNames = [...]string{"joined", "left", "failed", "updated", "reaped", "user"}

// Event is one thing that happened in the pool.
type Event struct {
	Kind EventKind
	// Member is set for all kinds but User.
	Member model.Member
	// User is set for the kind User.
	User UserEvent
}

// UserEvent is a small message to all members. It may arrive more than once.
type UserEvent struct {
	Name    string
	Payload []byte
	// Time is the event's Lamport time in the pool.
	Time uint64
}

// maxUserEvents bounds the user events that wait for a slow reader; older ones go first.
const maxUserEvents = 512

// backlog holds what the reader has not taken: per member the newest event only, so that it is bounded by
// the pool's size; a reader that was slow sees where a member ended up, not each step. It is not safe for
// concurrent use.
type backlog struct {
	queue []Event
	users int
}

func (b *backlog) add(e Event) {
	drop := -1
	for i, q := range b.queue {
		if e.Kind == User {
			if b.users >= maxUserEvents && q.Kind == User {
				drop = i
				break
			}
		} else if q.Kind != User && q.Member.Name == e.Member.Name {
			drop = i
			break
		}
	}
	if drop >= 0 {
		if b.queue[drop].Kind == User {
			b.users--
		}
		b.queue = append(b.queue[:drop], b.queue[drop+1:]...)
	}
	if e.Kind == User {
		b.users++
	}
	b.queue = append(b.queue, e)
}

func (b *backlog) pop() {
	if b.queue[0].Kind == User {
		b.users--
	}
	b.queue = b.queue[1:]
}

// pump moves events from serf, which must never wait, to the reader, until serf shuts down.
func (p *Pool) pump(in <-chan serf.Event) {
	defer close(p.done)
	defer close(p.events)
	var waiting backlog
	for {
		var out chan<- Event
		var next Event
		if len(waiting.queue) > 0 {
			out, next = p.events, waiting.queue[0]
		}
		select {
		case e := <-in:
			for _, ev := range eventsOf(e) {
				waiting.add(ev)
			}
		case out <- next:
			waiting.pop()
		case <-p.serf.ShutdownCh():
			return
		}
	}
}

func eventsOf(e serf.Event) []Event {
	switch e := e.(type) {
	case serf.UserEvent:
		return []Event{{Kind: User, User: UserEvent{Name: e.Name, Payload: e.Payload, Time: uint64(e.LTime)}}}
	case serf.MemberEvent:
		kind, ok := map[serf.EventType]EventKind{
			serf.EventMemberJoin: Joined, serf.EventMemberLeave: Left, serf.EventMemberFailed: Failed,
			serf.EventMemberUpdate: Updated, serf.EventMemberReap: Reaped,
		}[e.Type]
		if !ok {
			return nil
		}
		out := make([]Event, len(e.Members))
		for i, m := range e.Members {
			out[i] = Event{Kind: kind, Member: memberOf(m)}
		}
		return out
	}
	return nil // queries are answered within serf
}
