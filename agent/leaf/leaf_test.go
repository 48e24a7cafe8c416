package leaf_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/leaf"
	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

const clusterID = "11111111-2222-3333-4444-555555555555"

// authority signs with its own root and can be told to fail.
type authority struct {
	mu     sync.Mutex
	root   *model.CARoot
	key    *model.CAKey
	ttl    time.Duration
	down   bool
	signed uint64
	// commit writes the authority's roots to the state that the keeper sees.
	commit func(roots ...*model.CARoot)
}

// rotate makes a new root the active one.
func (a *authority) rotate(t *testing.T) {
	t.Helper()
	root, key, err := certs.NewRoot(rand.Reader, clusterID, certs.RootParams{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	old := *a.root
	old.Active = false
	a.root, a.key = root, key
	a.mu.Unlock()
	a.commit(&old, root)
}

func (a *authority) Sign(_ context.Context, _ model.Request, csr string, service model.ServiceName) (*model.LeafCert, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return nil, fault.New(fault.Unavailable, "no server answers")
	}
	a.signed++
	id := model.ServiceSPIFFE(model.TrustDomainOf(clusterID), "dc1", service)
	return certs.SignLeaf(rand.Reader, a.root, a.key, csr, certs.LeafSpec{ID: id, TTL: a.ttl, Serial: a.signed}, time.Now())
}

func (a *authority) set(down bool) (signed uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
	return a.signed
}

func start(t *testing.T, ttl time.Duration) (*leaf.Keeper, *authority) {
	t.Helper()
	root, key, err := certs.NewRoot(rand.Reader, clusterID, certs.RootParams{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, reads := state.New(), read.New()
	engine := view.NewEngine(store, reads.All())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); engine.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	a := &authority{root: root, key: key, ttl: ttl}
	index := model.Index(5)
	a.commit = func(roots ...*model.CARoot) {
		expect := model.Index(0)
		if c := store.Snapshot().CAConfig(); c != nil {
			expect = c.RaftIndexes.ModifyIndex
		}
		e, err := command.Wrap(&command.CA{Config: model.CAConfig{Provider: "consul", ClusterID: clusterID}, Roots: roots, Expect: expect}, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		index++
		outcomes, topics, err := command.Apply(store, index, command.Batch{e})
		if err != nil || outcomes[0].Fault.Text != "" {
			t.Fatal(err, outcomes)
		}
		engine.Notify(topics)
	}
	a.commit(root)
	k := leaf.New(leaf.Config{Datacenter: "dc1", Authority: a, Views: engine, Reads: reads, Logger: hclog.NewNullLogger()})
	t.Cleanup(k.Close)
	return k, a
}

func TestLeafIsRenewedLongBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := start(t, 20*time.Second)
		w, err := k.Watch("web", model.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		seen := map[string]bool{}
		var last model.Index
		for range 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			cert, _, err := w.Current()
			if err != nil || cert.PrivateKeyPEM.IsZero() {
				t.Fatal("no certificate with a key", err)
			}
			if left := time.Until(cert.ValidBefore); left < time.Second {
				t.Fatalf("%s left", left)
			}
			if cert.RaftIndexes.ModifyIndex < last {
				t.Fatal("the index went back")
			}
			last = cert.RaftIndexes.ModifyIndex
			seen[cert.SerialNumber] = true
		}
		if len(seen) < 3 || len(seen) > 6 {
			t.Errorf("%d certificates in a minute", len(seen))
		}
		k.Close()
	})
}

func TestLastCertificateStaysWhileNoServerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, a := start(t, time.Hour)
		w, err := k.Watch("web", model.Secret{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		synctest.Wait()
		a.set(true)
		time.Sleep(56 * time.Minute)
		synctest.Wait()
		cert, _, err := w.Current()
		if cert == nil || err == nil {
			t.Fatalf("certificate %v, error %v", cert, err)
		}
		before := a.set(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := a.set(false); after <= before {
			t.Error("renewal was not tried again")
		}
		k.Close()
	})
}

func TestRestingLeafFollowsANewRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, a := start(t, time.Hour)
		before, err := k.Fetch(t.Context(), model.Secret{}, "web", 0, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // nobody holds the leaf now
		a.rotate(t)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		after, err := k.Fetch(t.Context(), model.Secret{}, "web", 0, time.Second)
		if err != nil || after.SerialNumber == before.SerialNumber || after.RootID == before.RootID {
			t.Errorf("serial %s became %s, root %s became %s, %v", before.SerialNumber, after.SerialNumber, before.RootID, after.RootID, err)
		}
		k.Close()
	})
}

func TestUnusedLeafIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, a := start(t, time.Hour)
		if _, err := k.Fetch(t.Context(), model.Secret{}, "web", 0, time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := a.set(false); n != 1 {
			t.Errorf("an unused leaf was signed %d times", n)
		}
		k.Close()
	})
}
