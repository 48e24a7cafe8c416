package resource_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/lictor-mesh/lictor/proxy/resource"
)

type heard struct {
	states  []*resource.State
	waiting string
}

func (h *heard) Apply(s *resource.State) { h.states = append(h.states, s) }
func (h *heard) Report(w string)         { h.waiting = w }

func TestFedHandsOnTheNewestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := resource.NewFed("waiting for the agent")
		ctx, cancel := context.WithCancel(t.Context())
		var h heard
		ended := make(chan struct{})
		go func() { defer close(ended); f.Run(ctx, &h) }()
		synctest.Wait()
		if len(h.states) != 0 || h.waiting != "waiting for the agent" {
			t.Fatalf("%d states, %q", len(h.states), h.waiting)
		}
		one, two := resource.NewState(), resource.NewState()
		f.Set(one)
		f.Set(two) // newer before the first was taken
		synctest.Wait()
		if h.states[len(h.states)-1] != two || h.waiting != "" {
			t.Fatalf("%d states, %q", len(h.states), h.waiting)
		}
		n := len(h.states)
		f.Wait("the agent is away")
		synctest.Wait()
		if len(h.states) != n || h.waiting != "the agent is away" {
			t.Fatalf("%d states, %q", len(h.states), h.waiting)
		}
		cancel()
		<-ended
	})
}
