package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1000, 0)

func member(i int) Member {
	return Member{Address: Address{"tcp", fmt.Sprint("10.0.0.", i, ":1")}}
}

// TestPickIsWhatItMayBe compares with the definition: the pick is healthy, not tried, of the best priority that has
// such endpoints, not suspect if another is not, and never the busier of all candidates.
func TestPickIsWhatItMayBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var members []Member
		for i := range rapid.IntRange(0, 8).Draw(t, "members") {
			m := member(i)
			m.Weight = rapid.Uint32Range(0, 3).Draw(t, "weight")
			m.Priority = rapid.Uint32Range(0, 2).Draw(t, "priority")
			m.Health = Health(rapid.IntRange(0, 2).Draw(t, "health"))
			members = append(members, m)
		}
		s := NewSet(nil, members)
		var tried []*Endpoint
		suspect := map[*Endpoint]bool{}
		byAddress := map[Address]Member{}
		for _, m := range members {
			byAddress[m.Address] = m
		}
		for _, slot := range s.slots {
			for range rapid.IntRange(0, 5).Draw(t, "open") {
				slot.endpoint.Acquire()
			}
			if rapid.Bool().Draw(t, "tried") {
				tried = append(tried, slot.endpoint)
			}
			if rapid.Bool().Draw(t, "suspect") {
				slot.endpoint.Suspect(start.Add(time.Second))
				suspect[slot.endpoint] = true
			}
		}
		var candidates []*Endpoint
		rank := func(e *Endpoint) int {
			r := int(byAddress[e.Address].Priority)
			if suspect[e] {
				r += 100
			}
			return r
		}
		best := math.MaxInt
		for _, slot := range s.slots {
			e := slot.endpoint
			if byAddress[e.Address].Health != Healthy || slices.Contains(tried, e) {
				continue
			}
			if r := rank(e); r < best {
				best, candidates = r, nil
			}
			if rank(e) == best {
				candidates = append(candidates, e)
			}
		}
		// suspects are chosen among all priorities in order, so their rank keeps the priority
		seed := rapid.Uint64().Draw(t, "seed")
		got := s.Pick(rand.New(rand.NewPCG(seed, 1)).Uint64N, start, tried)
		if len(candidates) == 0 {
			if got != nil {
				t.Fatalf("picked %v of nothing", got.Address)
			}
			return
		}
		if !slices.Contains(candidates, got) {
			t.Fatalf("picked %v, which is no candidate", got)
		}
		load := func(e *Endpoint) float64 {
			return float64(e.Open()+1) / float64(max(byAddress[e.Address].Weight, 1))
		}
		busier := 0
		for _, e := range candidates {
			if e != got && load(e) <= load(got) {
				busier++
			}
		}
		if len(candidates) > 1 && busier == len(candidates)-1 && !slices.ContainsFunc(candidates, func(e *Endpoint) bool { return e != got && load(e) == load(got) }) {
			t.Fatalf("picked the busiest, %v", got.Address)
		}
	})
}

func TestLoadEvensOutByWeight(t *testing.T) {
	members := []Member{member(0), member(1), member(2)}
	members[2].Weight = 2
	s := NewSet(nil, members)
	random := rand.New(rand.NewPCG(1, 2)).Uint64N
	for range 4000 {
		s.Pick(random, start, nil).Acquire()
	}
	for _, slot := range s.slots {
		want := 1000 * float64(slot.weight)
		if got := float64(slot.endpoint.Open()); math.Abs(got-want) > want/20 {
			t.Errorf("%v has %v connections, want about %v", slot.endpoint.Address, got, want)
		}
	}
}

func TestTheIdleOneIsFoundSooner(t *testing.T) {
	// One endpoint drowns: with two choices it gets a new connection only when drawn against itself, that is never.
	s := NewSet(nil, []Member{member(0), member(1)})
	for range 100 {
		s.slots[0].endpoint.Acquire()
	}
	for range 50 {
		if e := s.Pick(rand.Uint64N, start, nil); e == s.slots[0].endpoint {
			t.Fatal("picked the busy one of two")
		}
	}
}

func TestUpdateKeepsCounters(t *testing.T) {
	s := NewSet(nil, []Member{member(0), member(1)})
	e := s.slots[0].endpoint
	e.Acquire()
	next := NewSet(s, []Member{member(2), member(0), member(0)})
	if h, in := next.Health(e); h != Healthy || !in || len(next.slots) != 2 || e.Open() != 1 {
		t.Errorf("%v %v, %d endpoints, %d open", h, in, len(next.slots), e.Open())
	}
	if _, in := next.Health(s.slots[1].endpoint); in {
		t.Error("a removed endpoint is in the set")
	}
}

func TestSuspicionEnds(t *testing.T) {
	s := NewSet(nil, []Member{member(0), member(1)})
	s.slots[0].endpoint.Suspect(start.Add(time.Second))
	for range 20 {
		if s.Pick(rand.Uint64N, start, nil) != s.slots[1].endpoint {
			t.Fatal("picked the suspect one")
		}
	}
	s.slots[1].endpoint.Acquire()
	if s.Pick(rand.Uint64N, start.Add(time.Second), nil) != s.slots[0].endpoint {
		t.Error("suspicion does not end")
	}
	s.slots[0].endpoint.Suspect(start.Add(time.Hour))
	s.slots[0].endpoint.Trust()
	if s.Pick(rand.Uint64N, start, nil) != s.slots[0].endpoint {
		t.Error("trust does not end suspicion")
	}
}
