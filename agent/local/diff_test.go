package local

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lictor-mesh/lictor/model"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func names(changes []Change) string {
	var out []string
	for _, c := range changes {
		out = append(out, c.String())
	}
	return strings.Join(out, "; ")
}

func desire(services []*model.Service, list ...DesiredCheck) *Desired {
	d := &Desired{Node: testNode(), Checks: list}
	for _, s := range services {
		d.Services = append(d.Services, DesiredService{Service: s})
	}
	return d
}

func svc(id model.ServiceID) *model.Service {
	return &model.Service{ID: id, Service: model.ServiceName(id), Port: 1, Weights: model.Weights{Passing: 1, Warning: 1}}
}

func chk(id model.CheckID, of model.ServiceID, s model.Status, output string) DesiredCheck {
	c := &model.Check{CheckID: id, Name: string(id), Status: s, Output: output, ServiceID: of, ServiceName: model.ServiceName(of)}
	return DesiredCheck{Check: c}
}

// settled is a catalog that holds what is desired.
func settled(t testing.TB, want *Desired) *catalog {
	t.Helper()
	c := newCatalog()
	for _, w := range Diff(want, nil, epoch).Changes {
		if err := c.write(w); err != nil {
			t.Fatal(err)
		}
	}
	c.log = nil
	return c
}

func TestAnEqualCatalogNeedsNothing(t *testing.T) {
	proxy := svc("web-sidecar-proxy")
	proxy.Kind = model.KindConnectProxy
	proxy.Proxy = &model.Proxy{DestinationServiceName: "web", Config: map[string]any{"n": int64(1), "m": map[string]any{}}, Upstreams: []model.Upstream{}}
	proxy.Tags, proxy.Meta = []string{}, map[string]string{}
	want := desire([]*model.Service{svc("web"), proxy}, chk("c", "web", model.StatusPassing, ""), chk("n", "", model.StatusCritical, "x"))
	c := settled(t, want)
	// The catalog adds virtual addresses, fills in the checks' service, and decodes numbers and empty lists its way.
	remote := c.read()
	for i, s := range remote.Services {
		s = s.Clone()
		s.Tags, s.Meta, s.RaftIndexes = nil, nil, model.RaftIndexes{CreateIndex: 5, ModifyIndex: 6}
		if s.Proxy != nil {
			s.Proxy.Config, s.Proxy.Upstreams = map[string]any{"n": uint64(1), "m": map[string]any{}}, nil
		}
		remote.Services[i] = s
	}
	if got := Diff(want, remote, epoch); len(got.Changes) != 0 {
		t.Errorf("wrote %s", names(got.Changes))
	}
}

func TestDiffWritesTheLeast(t *testing.T) {
	base := func() *Desired {
		return desire([]*model.Service{svc("a"), svc("b")}, chk("a1", "a", model.StatusPassing, "o"), chk("a2", "a", model.StatusPassing, ""), chk("n", "", model.StatusPassing, ""))
	}
	for _, test := range []struct {
		name   string
		change func(d *Desired)
		want   string
	}{
		{"a status", func(d *Desired) { c := *d.Checks[0].Check; c.Status = model.StatusCritical; d.Checks[0].Check = &c }, "check a1"},
		{"two checks", func(d *Desired) {
			d.Checks[0] = chk("a1", "a", "warning", "")
			d.Checks[2] = chk("n", "", "warning", "")
		}, "check a1, check n"},
		{"two tokens", func(d *Desired) {
			d.Checks[0], d.Checks[2] = chk("a1", "a", "warning", ""), chk("n", "", "warning", "")
			d.Checks[0].Token = model.NewSecret("x")
		}, "check a1; check n"},
		{"a service", func(d *Desired) { s := *d.Services[0].Service; s.Port = 2; d.Services[0].Service = &s }, "service a"},
		{"a service and its check", func(d *Desired) {
			s := *d.Services[0].Service
			s.Port = 2
			d.Services[0].Service = &s
			d.Checks[0] = chk("a1", "a", "warning", "")
		}, "service a, check a1"},
		{"a service less", func(d *Desired) { d.Services = d.Services[1:]; d.Checks = d.Checks[2:] }, "removal of service a"},
		{"a check less", func(d *Desired) { d.Checks = d.Checks[1:] }, "removal of check a1"},
		{"a check moves", func(d *Desired) { d.Checks[0] = chk("a1", "b", "passing", "o") }, "check a1"},
		{"a check moves and its service goes", func(d *Desired) {
			d.Services = d.Services[1:]
			d.Checks = []DesiredCheck{chk("a1", "b", "passing", "o"), d.Checks[2]}
		}, "check a1; removal of service a"},
		{"node", func(d *Desired) { d.Node.Meta = map[string]string{"x": "y"} }, "node node1"},
		{"a new service before the old goes", func(d *Desired) {
			d.Services[0] = DesiredService{Service: svc("c")}
			d.Checks = []DesiredCheck{chk("c1", "c", "critical", ""), d.Checks[2]}
		}, "service c, check c1; removal of service a"},
	} {
		want := base()
		c := settled(t, want)
		test.change(want)
		got := Diff(want, c.read(), epoch)
		if names(got.Changes) != test.want {
			t.Errorf("%s: %q, want %q", test.name, names(got.Changes), test.want)
		}
		for _, w := range got.Changes {
			if err := c.write(w); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if rest := Diff(want, c.read(), epoch); len(rest.Changes) != 0 {
			t.Errorf("%s: did not converge: %s", test.name, names(rest.Changes))
		}
	}
}

func TestProxiesGoBeforeWhatTheyLeadTo(t *testing.T) {
	proxy := svc("z-proxy")
	proxy.Kind, proxy.Proxy = model.KindConnectProxy, &model.Proxy{DestinationServiceName: "a"}
	c := settled(t, desire([]*model.Service{svc("a"), proxy}))
	if got := names(Diff(desire(nil), c.read(), epoch).Changes); got != "removal of service z-proxy; removal of service a" {
		t.Error(got)
	}
}

func TestOnlyWhatThisAgentOwnsIsRemoved(t *testing.T) {
	other := svc("external")
	remote := &model.NodeServices{Node: testNode(), Services: []*model.Service{other, svc("consul")}, Checks: []*model.Check{
		{CheckID: model.SerfHealth, Status: model.StatusPassing, Owner: nodeID},
		{CheckID: "external-check", ServiceID: "external"},
		{CheckID: "node-check"},
		{CheckID: "left", Owner: nodeID},
	}}
	remote.Services[1].Owner = nodeID
	if got := names(Diff(desire(nil), remote, epoch).Changes); got != "removal of check left" {
		t.Error(got)
	}
	// The node's name came from an agent with another id: what that one left is taken over.
	remote.Checks[3].Owner = "22222222-2222-2222-2222-222222222222"
	if got := names(Diff(desire(nil), remote, epoch).Changes); got != "removal of check left" {
		t.Error(got)
	}
	remote.Node.ID = remote.Checks[3].Owner
	if got := names(Diff(desire(nil), remote, epoch).Changes); got != "node node1" {
		t.Errorf("before the node's name is this agent's: %s", got)
	}
}

func TestWhatOthersOverwroteIsPutRight(t *testing.T) {
	want := desire([]*model.Service{svc("a")}, chk("c", "a", model.StatusPassing, ""))
	c := settled(t, want)
	stolen := svc("a")
	if err := c.write(Change{Register: &model.Registration{Node: *testNode(), SkipNodeUpdate: true, Service: stolen}}); err != nil {
		t.Fatal(err)
	}
	if got := names(Diff(want, c.read(), epoch).Changes); got != "service a" {
		t.Error(got)
	}
}

func TestOutputsAloneWait(t *testing.T) {
	want := desire(nil, chk("n", "", model.StatusPassing, "one"), chk("m", "", model.StatusPassing, "one"))
	c := settled(t, want)
	want.Checks[0], want.Checks[1] = chk("n", "", model.StatusPassing, "two"), chk("m", "", model.StatusPassing, "two")
	want.Checks[0].OutputDue, want.Checks[1].OutputDue = epoch.Add(time.Minute), epoch.Add(time.Hour)
	if got := Diff(want, c.read(), epoch); len(got.Changes) != 0 || !got.Due.Equal(epoch.Add(time.Minute)) {
		t.Errorf("%s, due %v", names(got.Changes), got.Due)
	}
	if got := names(Diff(want, c.read(), epoch.Add(time.Minute)).Changes); got != "check n" {
		t.Error(got)
	}
	want.Checks[1].Check.Status = model.StatusWarning
	if got := names(Diff(want, c.read(), epoch).Changes); got != "check m" {
		t.Errorf("a status waits: %s", got)
	}
}

func TestTagsOfOthersAreAdopted(t *testing.T) {
	a := svc("a")
	a.EnableTagOverride, a.Tags = true, []string{"mine"}
	want := desire([]*model.Service{a})
	c := settled(t, want)
	c.svcs["a"].Tags = []string{"theirs"}
	got := Diff(want, c.read(), epoch)
	if len(got.Changes) != 0 || !slices.Equal(got.Tags["a"], []string{"theirs"}) {
		t.Errorf("%s, tags %v", names(got.Changes), got.Tags)
	}
	b := *a
	b.Port = 9
	want.Services[0].Service = &b
	got = Diff(want, c.read(), epoch)
	if len(got.Changes) != 1 || !slices.Equal(got.Changes[0].Register.Service.Tags, []string{"theirs"}) {
		t.Errorf("another change overwrote their tags: %s", names(got.Changes))
	}
	b.EnableTagOverride = false
	got = Diff(want, c.read(), epoch)
	if len(got.Tags) != 0 || !slices.Equal(got.Changes[0].Register.Service.Tags, []string{"mine"}) {
		t.Errorf("without the override: %s, tags %v", names(got.Changes), got.Tags)
	}
}

func TestWhatIsNotYetCheckedKeepsTheStatusOfTheCatalog(t *testing.T) {
	want := desire([]*model.Service{svc("a")}, chk("a1", "a", model.StatusPassing, "fine"), chk("_drain:a", "a", model.StatusCritical, ""))
	c := settled(t, want)
	restarted := desire([]*model.Service{svc("a")}, chk("a1", "a", model.StatusCritical, ""))
	restarted.Checks[0].Provisional = true
	if got := Diff(restarted, c.read(), epoch); len(got.Changes) != 0 {
		t.Errorf("wrote %s", names(got.Changes))
	}
	restarted.Checks[0].Provisional = false
	if got := names(Diff(restarted, c.read(), epoch).Changes); got != "check a1; removal of check _drain:a" {
		t.Error(got)
	}
	restarted.Checks[0].Provisional = true
	if got := names(Diff(restarted, nil, epoch).Changes); got != "node node1; service a, check a1" {
		t.Error(got)
	}
}

// TestAnyHistoryConverges drives two random histories, of an agent and of others who write to the same
// node, and holds after every sync: the agent's records are in the catalog as it wants them, nothing else of
// it is, and what others own is as they left it.
func TestAnyHistoryConverges(t *testing.T) {
	ids := rapid.SampledFrom([]model.ServiceID{"a", "b", "c"})
	checkIDs := rapid.SampledFrom([]model.CheckID{"k1", "k2", "k3", "k4"})
	statuses := rapid.SampledFrom([]model.Status{model.StatusPassing, model.StatusWarning, model.StatusCritical})
	rapid.Check(t, func(t *rapid.T) {
		c := newCatalog()
		services, list := map[model.ServiceID]*model.Service{}, map[model.CheckID]*model.Check{}
		foreign := map[model.ServiceID]*model.Service{}
		foreignChecks := map[model.CheckID]*model.Check{"serfHealth": {CheckID: "serfHealth", Status: model.StatusPassing}}
		// What others overwrote is theirs until the next sync takes it back.
		stolen := map[model.ServiceID]*model.Service{}
		c.node = testNode()
		c.chks["serfHealth"] = foreignChecks["serfHealth"]
		external := func(r *model.Registration) {
			r.Node, r.SkipNodeUpdate = *testNode(), true
			if err := c.write(Change{Register: r}); err != nil {
				t.Fatal(err)
			}
		}
		steps := rapid.IntRange(1, 30).Draw(t, "steps")
		for range steps {
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1:
				s := svc(ids.Draw(t, "service"))
				s.Port = rapid.IntRange(1, 3).Draw(t, "port")
				services[s.ID] = s
				if f := foreign[s.ID]; f != nil {
					stolen[s.ID] = f // until a sync takes the id over, it stays the others'
				}
				delete(foreign, s.ID)
			case 2:
				id := ids.Draw(t, "service")
				delete(services, id)
				if stolen[id] != nil {
					foreign[id] = stolen[id]
				}
				for k, v := range list {
					if v.ServiceID == id {
						delete(list, k)
					}
				}
			case 3:
				k := chk(checkIDs.Draw(t, "check"), "", statuses.Draw(t, "status"), rapid.SampledFrom([]string{"", "x"}).Draw(t, "output")).Check
				if id := ids.Draw(t, "of"); services[id] != nil {
					k.ServiceID = id
				}
				list[k.CheckID] = k
			case 4:
				delete(list, checkIDs.Draw(t, "check"))
			case 5: // others register something of their own
				s := svc("x-" + ids.Draw(t, "external"))
				s.Port = rapid.IntRange(1, 9).Draw(t, "port")
				k := &model.Check{CheckID: model.CheckID(s.ID), ServiceID: s.ID, Status: statuses.Draw(t, "status")}
				foreign[s.ID], foreignChecks[k.CheckID] = s, k
				external(&model.Registration{Service: s, Checks: []*model.Check{k}})
			case 6: // others overwrite or remove what is the agent's
				s := svc(ids.Draw(t, "overwritten"))
				if services[s.ID] != nil {
					s.Port = 99
					stolen[s.ID] = s
					external(&model.Registration{Service: s})
				}
			case 7:
				id := ids.Draw(t, "removed")
				_ = c.write(Change{Deregister: &model.Deregistration{Node: "node1", ServiceID: id}})
				delete(stolen, id)
				delete(foreign, id)
			}
			if rapid.Bool().Draw(t, "sync") {
				syncOnce(t, c, services, list)
				clear(stolen)
				agrees(t, c, services, list, foreign, foreignChecks)
			}
		}
		syncOnce(t, c, services, list)
		agrees(t, c, services, list, foreign, foreignChecks)
	})
}

func syncOnce(t *rapid.T, c *catalog, services map[model.ServiceID]*model.Service, list map[model.CheckID]*model.Check) {
	want := desire(nil)
	for _, id := range sortedIDs(services) {
		want.Services = append(want.Services, DesiredService{Service: services[id]})
	}
	for _, id := range sortedIDs(list) {
		want.Checks = append(want.Checks, DesiredCheck{Check: list[id]})
	}
	cached := c.read()
	for _, w := range Diff(want, cached, epoch).Changes {
		if err := c.write(w); err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		cached = applied(cached, w)
	}
	if rest := Diff(want, c.read(), epoch); len(rest.Changes) != 0 {
		t.Fatalf("not settled: %s", names(rest.Changes))
	}
	// What the Syncer believes to be there is there.
	if rest := Diff(want, cached, epoch); len(rest.Changes) != 0 {
		t.Fatalf("not settled by its own account: %s", names(rest.Changes))
	}
}

func agrees(t *rapid.T, c *catalog, services map[model.ServiceID]*model.Service, list map[model.CheckID]*model.Check,
	foreign map[model.ServiceID]*model.Service, foreignChecks map[model.CheckID]*model.Check) {
	for id, s := range c.svcs {
		want := services[id]
		if want == nil {
			want = foreign[id]
		}
		if want == nil || want.Port != s.Port {
			t.Fatalf("service %s: %+v, want %+v", id, s, want)
		}
	}
	for id, k := range c.chks {
		want := list[id]
		if want == nil {
			want = foreignChecks[id]
		}
		if want == nil || want.Status != k.Status || want.Output != k.Output || want.ServiceID != k.ServiceID {
			t.Fatalf("check %s: %+v, want %+v", id, k, want)
		}
	}
	if len(c.svcs) != len(services)+len(foreign) || len(c.chks) != len(list)+len(foreignChecks) {
		t.Fatalf("%d services and %d checks; want %d+%d and %d+%d", len(c.svcs), len(c.chks), len(services), len(foreign), len(list), len(foreignChecks))
	}
}

func TestCanonicalFormIsOneForAllEncodings(t *testing.T) {
	s := svc("a")
	s.Kind = model.KindConnectProxy
	s.Proxy = &model.Proxy{DestinationServiceName: "x", Config: map[string]any{"i": int64(7), "f": 1.5, "l": []any{int64(1), "a"}, "m": map[string]any{"x": true}},
		Upstreams: []model.Upstream{{DestinationName: "db", LocalBindPort: 1, Config: map[string]any{"y": int64(300)}}}}
	b, err := s.MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back model.Service
	if _, err := back.UnmarshalMsg(b); err != nil {
		t.Fatal(err)
	}
	if !sameInstance(s, &back) {
		t.Errorf("got %+v, want %+v", canonical(&back).Proxy, canonical(s).Proxy)
	}
	before := s.Clone()
	canonical(s)
	if !reflect.DeepEqual(before, s) {
		t.Error("canonical changed its argument")
	}
}

func BenchmarkDiffOfAnEqualCatalog(b *testing.B) {
	want := desire(nil)
	for i := range 200 {
		id := model.ServiceID("svc" + string(rune('a'+i%26)) + strings.Repeat("x", i/26))
		s, p := svc(id), svc(id+"-sidecar-proxy")
		p.Kind, p.Proxy = model.KindConnectProxy, &model.Proxy{DestinationServiceName: "x", Config: map[string]any{"protocol": "http"}, Upstreams: []model.Upstream{{DestinationName: "db", LocalBindPort: 1}}}
		want.Services = append(want.Services, DesiredService{Service: s}, DesiredService{Service: p})
		want.Checks = append(want.Checks, chk(model.CheckID("c:"+id), id, model.StatusPassing, "x"))
	}
	remote := settled(b, want).read()
	for b.Loop() {
		if len(Diff(want, remote, epoch).Changes) != 0 {
			b.Fatal("not equal")
		}
	}
}
