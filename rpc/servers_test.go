package rpc

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func addrs(names ...string) (list []ServerAddr) {
	for _, n := range names {
		list = append(list, ServerAddr{Addr: n})
	}
	return list
}

func TestNewServersMoveNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		s := NewServers(rng.IntN)
		model := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				list := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 0, 5, rapid.ID).Draw(t, "list")
				before, had := s.Pick()
				moved := s.Moved()
				s.Set(addrs(list...))
				after, _ := s.Pick()
				if had && slices.Contains(list, before.Addr) && after != before {
					t.Fatalf("%s was left for %s though it stays", before, after)
				}
				select {
				case <-moved:
					if after == before {
						t.Fatal("told of a move that was none")
					}
				default:
					if after != before {
						t.Fatal("not told of a move")
					}
				}
				clear(model)
				for _, a := range list {
					model[a] = true
				}
			},
			"failed": func(t *rapid.T) {
				a := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "addr")
				s.Led(a)
				s.Failed(a)
				if p, ok := s.PickLeader(); ok && p.Addr == a && len(model) > 1 {
					t.Fatalf("%s is turned to again at once", a)
				}
			},
			"rebalance": func(*rapid.T) { s.Rebalance() },
			"": func(t *rapid.T) {
				all := s.All()
				if len(all) != len(model) {
					t.Fatalf("%v, want %v", all, model)
				}
				for _, a := range all {
					if !model[a.Addr] {
						t.Fatalf("%v, want %v", all, model)
					}
				}
			},
		})
	})
}

func TestAgentsSpreadOverTheServers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	count := map[string]int{}
	for range 3000 {
		s := NewServers(rng.IntN)
		s.Set(addrs("a", "b", "c"))
		p, _ := s.Pick()
		count[p.Addr]++
	}
	for _, n := range count {
		if n < 800 || n > 1200 {
			t.Fatalf("%v", count)
		}
	}
}

func TestRebalancesAreBoundedForTheServers(t *testing.T) {
	if d := RebalanceAfter(10, 3, 0); d != 2*time.Minute {
		t.Errorf("%s", d)
	}
	if d := RebalanceAfter(10, 3, 0.999); d < 2*time.Minute+50*time.Second || d >= 3*time.Minute {
		t.Errorf("%s", d)
	}
	if d := RebalanceAfter(100_000, 3, 0); d < 500*time.Second {
		t.Errorf("%s", d)
	}
	if d := RebalanceAfter(10, 0, 0); d != 2*time.Minute {
		t.Errorf("%s", d)
	}
}
