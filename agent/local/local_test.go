package local

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

const nodeID model.NodeID = "11111111-1111-1111-1111-111111111111"

func testNode() *model.Node {
	return &model.Node{ID: nodeID, Node: "node1", Address: "127.0.0.1", Datacenter: "dc1",
		TaggedAddresses: map[string]string{"lan": "127.0.0.1"}, Meta: map[string]string{"consul-version": "1.21.4"}}
}

// host is a State with its runner, as an agent has them.
type host struct {
	*State
	runner *checks.Runner
}

func (h *host) stop() {
	h.Close()
	h.runner.Close()
}

func openHost(t *testing.T, dir string, env checks.Env) (*host, error) {
	t.Helper()
	env.Log = hclog.NewNullLogger()
	env.Node = "node1"
	if env.Random == nil {
		env.Random = func(n time.Duration) time.Duration { return n - 1 }
	}
	runner := checks.NewRunner(&env)
	s, err := Open(Options{Log: env.Log, Node: testNode(), DataDir: dir, Checks: runner})
	if err != nil {
		runner.Close()
		return nil, err
	}
	return &host{s, runner}, nil
}

func start(t *testing.T, dir string) *host {
	t.Helper()
	h, err := openHost(t, dir, checks.Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	return h
}

// service decodes a body of the API, so that tests register what the API would.
func decodeService(t *testing.T, body string) *model.ServiceDefinition {
	t.Helper()
	def, err := definition.DecodeAgentService([]byte(body))
	if err == nil {
		err = definition.ValidateService(def)
	}
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return def
}

func register(t *testing.T, s *State, body string) {
	t.Helper()
	if err := s.AddService(decodeService(t, body), Registering{}); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

func registerCheck(t *testing.T, s *State, body string) {
	t.Helper()
	def, err := definition.DecodeAgentCheck([]byte(body))
	if err == nil {
		err = definition.ValidateCheck(def)
	}
	if err == nil {
		err = s.AddCheck(def, Registering{})
	}
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

// eventually polls until ok, which changes of the State make true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never happened: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

// catalog is a small catalog of one node, with the rules of the real one.
type catalog struct {
	mu     sync.Mutex
	node   *model.Node
	svcs   map[model.ServiceID]*model.Service
	chks   map[model.CheckID]*model.Check
	writes int
	// log names what was written, in order.
	log  []string
	fail func(what string) error
}

func newCatalog() *catalog {
	return &catalog{svcs: map[model.ServiceID]*model.Service{}, chks: map[model.CheckID]*model.Check{}}
}

func (c *catalog) NodeServices(context.Context) (*model.NodeServices, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail("read"); err != nil {
			return nil, err
		}
	}
	return c.read(), nil
}

func (c *catalog) read() *model.NodeServices {
	if c.node == nil {
		return nil
	}
	out := &model.NodeServices{Node: c.node}
	for _, id := range slices.Sorted(maps.Keys(c.svcs)) {
		out.Services = append(out.Services, c.svcs[id])
	}
	for _, id := range slices.Sorted(maps.Keys(c.chks)) {
		out.Checks = append(out.Checks, c.chks[id])
	}
	return out
}

func (c *catalog) Register(_ context.Context, token model.Secret, r *model.Registration) error {
	return c.write(Change{Register: r, Token: token})
}

func (c *catalog) Deregister(_ context.Context, token model.Secret, r *model.Deregistration) error {
	return c.write(Change{Deregister: r, Token: token})
}

func (c *catalog) write(w Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail(w.String()); err != nil {
			return err
		}
	}
	c.writes++
	c.log = append(c.log, w.String())
	if d := w.Deregister; d != nil {
		switch {
		case d.ServiceID != "":
			delete(c.svcs, d.ServiceID)
			maps.DeleteFunc(c.chks, func(_ model.CheckID, k *model.Check) bool { return k.ServiceID == d.ServiceID })
		default:
			delete(c.chks, d.CheckID)
		}
		return nil
	}
	r := w.Register
	if c.node == nil || !r.SkipNodeUpdate {
		c.node = r.Node.Clone()
	}
	if r.Service != nil {
		s := r.Service.Clone()
		// As the catalog does for the mesh.
		if s.MeshName() != "" {
			if s.TaggedAddresses == nil {
				s.TaggedAddresses = map[string]model.ServiceAddress{}
			}
			s.TaggedAddresses["consul-virtual"] = model.ServiceAddress{Address: "240.0.0.1"}
		}
		c.svcs[s.ID] = s
	}
	for _, k := range r.Checks {
		k = k.Clone()
		if k.ServiceID != "" {
			s := c.svcs[k.ServiceID]
			if s == nil {
				return fault.New(fault.Invalid, "Unknown service ID '%s' for check ID '%s'", k.ServiceID, k.CheckID)
			}
			k.ServiceName, k.ServiceTags = s.Service, s.Tags
		}
		c.chks[k.CheckID] = k
	}
	return nil
}

func (c *catalog) check(id model.CheckID) *model.Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chks[id]
}

func (c *catalog) service(id model.ServiceID) *model.Service {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.svcs[id]
}

func (c *catalog) with(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// follow runs a Syncer until the test ends.
func follow(t *testing.T, s *State, c *catalog, change func(*SyncerOptions)) *Syncer {
	t.Helper()
	o := SyncerOptions{Log: hclog.NewNullLogger(), State: s, Catalog: c, CheckUpdateInterval: DefaultCheckUpdateInterval}
	if change != nil {
		change(&o)
	}
	sy := NewSyncer(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); sy.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return sy
}
