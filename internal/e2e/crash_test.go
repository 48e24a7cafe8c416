//go:build unix

package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// TestAcknowledgedWritesSurviveKills kills the server while many write to it, and looks for each write that was
// acknowledged: registrations with the agent and with the catalog, and intentions.
func TestAcknowledgedWritesSurviveKills(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "")
	var mu sync.Mutex
	nodes, services, intentions := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var stop atomic.Bool
	var writers sync.WaitGroup
	writer := func(into map[string]bool, write func(name string) error, kind string) {
		writers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				name := fmt.Sprintf("%s-%d", kind, n)
				if write(name) == nil {
					mu.Lock()
					into[name] = true
					mu.Unlock()
				} else {
					time.Sleep(5 * time.Millisecond) // the server is down
				}
			}
		})
	}
	for w := range 3 {
		writer(nodes, func(name string) error {
			_, err := a.Catalog().Register(&api.CatalogRegistration{Node: name, Address: "10.0.0.1"}, nil)
			return err
		}, fmt.Sprint("n", w))
	}
	writer(services, func(name string) error {
		return a.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: name})
	}, "s")
	writer(intentions, func(name string) error {
		_, err := a.Connect().IntentionUpsert(&api.Intention{SourceName: name, DestinationName: "db", Action: api.IntentionActionDeny}, nil)
		return err
	}, "i")
	written := func() int {
		mu.Lock()
		defer mu.Unlock()
		return min(len(nodes), len(services), len(intentions))
	}
	for round := range 3 {
		eventually(t, "writes", func() error {
			if n := written(); n < (round+1)*15 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
		a.kill()
		a.start(t)
	}
	stop.Store(true)
	writers.Wait()
	a.kill()
	a.start(t)
	a.holds(t, nodes, services, intentions)
}

// holds fails the test when something of what was acknowledged is missing.
func (a *agent) holds(t *testing.T, nodes, services, intentions map[string]bool) {
	t.Helper()
	list, _, err := a.Catalog().Nodes(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		delete(nodes, n.Node)
	}
	mine, err := a.Agent().Services()
	if err != nil {
		t.Fatal(err)
	}
	for id := range mine {
		delete(services, id)
	}
	rules, _, err := a.Connect().Intentions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		delete(intentions, r.SourceName)
	}
	if len(nodes)+len(services)+len(intentions) > 0 {
		t.Errorf("acknowledged and lost: nodes %v, services %v, intentions %v", nodes, services, intentions)
	}
	eventually(t, "the agent's services in the catalog", func() error {
		known, _, err := a.Catalog().Services(nil)
		if err == nil && len(known) != len(mine)+1 {
			err = fmt.Errorf("%d of %d", len(known)-1, len(mine))
		}
		return err
	})
}
