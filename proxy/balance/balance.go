// Package balance picks the endpoint of a new connection: power of two choices on open connections, weighted, over
// the healthy endpoints of the best priority.
//
// Randomness and time are arguments; the only state is each endpoint's count of open connections and the time until
// which it is avoided after a failed connect.
package balance

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// Rand returns a number in [0, n). n is above 0.
type Rand func(n uint64) uint64

// Address says where an endpoint listens: a network of package net ("tcp", "unix") and an address of it.
type Address struct {
	Network string
	Text    string
}

// String returns the address without its network, as logs show it.
func (a Address) String() string { return a.Text }

// Health is what the control plane says of an endpoint.
type Health uint8

const (
	// Healthy endpoints get new connections.
	Healthy Health = iota
	// Draining endpoints get none, and will stop soon.
	Draining
	// Unhealthy endpoints get none.
	Unhealthy
)

// Member is one endpoint as the control plane describes it. Weight 0 counts as 1; priority 0 is the best.
type Member struct {
	Address  Address
	Weight   uint32
	Priority uint32
	Health   Health
}

// Endpoint is a member with its counters. It stays the same object for as long as its address is in the set.
type Endpoint struct {
	Address      Address
	open         atomic.Int64
	suspectUntil atomic.Int64
}

// Acquire counts a connection that was opened, or is about to be. Each call wants one Release.
func (e *Endpoint) Acquire() { e.open.Add(1) }

// Release undoes one Acquire.
func (e *Endpoint) Release() { e.open.Add(-1) }

// Open is the number of connections that hold the endpoint.
func (e *Endpoint) Open() int64 { return e.open.Load() }

// Suspect makes Pick avoid the endpoint until the given time, as long as there is another.
func (e *Endpoint) Suspect(until time.Time) { e.suspectUntil.Store(until.UnixNano()) }

// Trust ends what Suspect began.
func (e *Endpoint) Trust() { e.suspectUntil.Store(0) }

type slot struct {
	endpoint *Endpoint
	weight   uint64
	priority uint32
	health   Health
}

// Set is an immutable list of endpoints.
type Set struct {
	slots   []slot // sorted by priority
	healthy int
}

// NewSet makes the set of the given members. Endpoints that prev holds already keep their counters. Of members that
// share an address, the first counts.
func NewSet(prev *Set, members []Member) *Set {
	old := make(map[Address]*Endpoint)
	if prev != nil {
		for i := range prev.slots {
			old[prev.slots[i].endpoint.Address] = prev.slots[i].endpoint
		}
	}
	s := &Set{slots: make([]slot, 0, len(members))}
	seen := make(map[Address]bool, len(members))
	for _, m := range members {
		if seen[m.Address] {
			continue
		}
		seen[m.Address] = true
		e := old[m.Address]
		if e == nil {
			e = &Endpoint{Address: m.Address}
		}
		s.slots = append(s.slots, slot{e, uint64(max(m.Weight, 1)), m.Priority, m.Health})
		if m.Health == Healthy {
			s.healthy++
		}
	}
	slices.SortStableFunc(s.slots, func(a, b slot) int { return cmp.Compare(a.priority, b.priority) })
	return s
}

// Len is the number of healthy endpoints.
func (s *Set) Len() int { return s.healthy }

// Health tells what the set says of e, and whether e is in it at all.
func (s *Set) Health(e *Endpoint) (Health, bool) {
	for i := range s.slots {
		if s.slots[i].endpoint == e {
			return s.slots[i].health, true
		}
	}
	return Unhealthy, false
}

// Pick chooses an endpoint that is healthy and not in tried: of the best priority that has one which is not
// suspect, two are drawn by weight and the one with fewer open connections per weight wins. Suspect endpoints are
// chosen only when no other is left. It returns nil when none is left at all.
func (s *Set) Pick(random Rand, now time.Time, tried []*Endpoint) *Endpoint {
	for _, suspects := range [2]bool{false, true} {
		for first := 0; first < len(s.slots); {
			end := first + 1
			for end < len(s.slots) && s.slots[end].priority == s.slots[first].priority {
				end++
			}
			t := tier{s.slots[first:end], tried, now.UnixNano(), suspects}
			if e := t.pick(random); e != nil {
				return e
			}
			first = end
		}
	}
	return nil
}

// tier is the endpoints of one priority during one Pick.
type tier struct {
	slots    []slot
	tried    []*Endpoint
	now      int64
	suspects bool
}

func (t *tier) eligible(s *slot) bool {
	return s.health == Healthy && !slices.Contains(t.tried, s.endpoint) &&
		(t.suspects || s.endpoint.suspectUntil.Load() <= t.now)
}

func (t *tier) pick(random Rand) *Endpoint {
	var total uint64
	for i := range t.slots {
		if t.eligible(&t.slots[i]) {
			total += t.slots[i].weight
		}
	}
	a := t.draw(random, total, nil)
	if a == nil {
		return nil
	}
	b := t.draw(random, total-min(total, a.weight), a)
	// Less loaded is open/weight, compared without division; the +1 is the connection to be opened.
	if b != nil && uint64(b.endpoint.Open()+1)*a.weight < uint64(a.endpoint.Open()+1)*b.weight {
		return b.endpoint
	}
	return a.endpoint
}

// draw takes one eligible slot other than skip, each with the chance weight/total.
func (t *tier) draw(random Rand, total uint64, skip *slot) *slot {
	if total == 0 {
		return nil
	}
	at := random(total)
	var last *slot
	for i := range t.slots {
		s := &t.slots[i]
		if s == skip || !t.eligible(s) {
			continue
		}
		if last = s; at < s.weight {
			return s
		}
		at -= s.weight
	}
	// Another goroutine may have made an endpoint suspect since total was summed.
	return last
}
