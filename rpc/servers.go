package rpc

import (
	"slices"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// ServerAddr is a server that can be asked.
type ServerAddr struct {
	Name model.NodeName
	// Addr is its RPC port, "host:port".
	Addr string
}

// Servers are the known servers of one datacenter, in the order in which this agent turns to them. Each
// agent has its own random order, so that the agents spread over the servers; who does not answer goes to
// the end. It is safe for concurrent use and does no I/O.
type Servers struct {
	random func(n int) int

	mu     sync.Mutex
	order  []ServerAddr
	leader string
	// moved is closed and replaced when the first of the order changes.
	moved chan struct{}
}

// NewServers makes an empty list; random(n) returns a number in [0,n).
func NewServers(random func(n int) int) *Servers {
	return &Servers{random: random, moved: make(chan struct{})}
}

// Set makes list the known servers. Those that stay keep their places; a new one gets a random place behind
// the first, so that news of it moves nobody's connection.
func (s *Servers) Set(list []ServerAddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.first()
	known := func(in []ServerAddr, a ServerAddr) bool {
		return slices.ContainsFunc(in, func(o ServerAddr) bool { return o.Addr == a.Addr })
	}
	s.order = slices.DeleteFunc(s.order, func(a ServerAddr) bool { return !known(list, a) })
	anew := len(s.order) == 0
	for _, a := range list {
		if known(s.order, a) {
			continue
		}
		at := len(s.order)
		if at > 0 && !anew {
			at = 1 + s.random(len(s.order))
		} else if at > 0 {
			at = s.random(len(s.order) + 1)
		}
		s.order = slices.Insert(s.order, at, a)
	}
	if s.leader != "" && !known(s.order, ServerAddr{Addr: s.leader}) {
		s.leader = ""
	}
	s.tell(before)
}

// Pick returns the server to turn to; false when none is known.
func (s *Servers) Pick() (ServerAddr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) == 0 {
		return ServerAddr{}, false
	}
	return s.order[0], true
}

// PickLeader returns the leader if it is known, else as Pick.
func (s *Servers) PickLeader() (ServerAddr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.order {
		if a.Addr == s.leader {
			return a, true
		}
	}
	if s.leader != "" {
		return ServerAddr{Addr: s.leader}, true
	}
	if len(s.order) == 0 {
		return ServerAddr{}, false
	}
	return s.order[0], true
}

// Led keeps who the leader is, as a server said; "" is nobody known.
func (s *Servers) Led(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = addr
}

// Failed moves a server that did not answer to the end, and forgets it as the leader.
func (s *Servers) Failed(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leader == addr {
		s.leader = ""
	}
	i := slices.IndexFunc(s.order, func(a ServerAddr) bool { return a.Addr == addr })
	if i < 0 || len(s.order) == 1 {
		return
	}
	before := s.first()
	a := s.order[i]
	s.order = append(slices.Delete(s.order, i, i+1), a)
	s.tell(before)
}

// Rebalance puts the servers into a new random order, so that the agents spread again after a server was
// away.
func (s *Servers) Rebalance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.first()
	for i := len(s.order) - 1; i > 0; i-- {
		j := s.random(i + 1)
		s.order[i], s.order[j] = s.order[j], s.order[i]
	}
	s.tell(before)
}

// RebalanceAfter is the time between rebalances in a datacenter of that many agents: two to three minutes, and more where it
// would make the servers take over 64 moves a second. u in [0,1) spreads the agents.
func RebalanceAfter(agents, servers int, u float64) time.Duration {
	least := 2*time.Minute + time.Duration(u*float64(time.Minute))
	if servers < 1 {
		return least
	}
	return max(least, time.Duration(agents)*time.Second/time.Duration(64*servers))
}

// All returns the known servers in their order.
func (s *Servers) All() []ServerAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// Moved returns a channel that is closed when the first server is another.
func (s *Servers) Moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

func (s *Servers) first() string {
	if len(s.order) == 0 {
		return ""
	}
	return s.order[0].Addr
}

func (s *Servers) tell(before string) {
	if s.first() != before {
		close(s.moved)
		s.moved = make(chan struct{})
	}
}
