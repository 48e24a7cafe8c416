package checks

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func testEnv() *Env {
	return &Env{
		Log:    hclog.NewNullLogger(),
		Node:   "node1",
		Random: func(time.Duration) time.Duration { return 0 },
	}
}

// once runs a check until its first result.
func once(t *testing.T, env *Env, d model.CheckDefinition) Result {
	t.Helper()
	results := make(chan Result, 16)
	if d.Interval == 0 {
		d.Interval = time.Hour
	}
	c, err := New(Spec{Definition: d, Status: model.StatusCritical, Report: func(r Result) { results <- r }}, env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	defer func() { cancel(); <-done }()
	select {
	case r := <-results:
		return r
	case <-ctx.Done():
		t.Fatal("no result")
		return Result{}
	}
}

func wantResult(t *testing.T, got Result, status model.Status, output string) {
	t.Helper()
	if got.Status != status || got.Output != output {
		t.Errorf("got %s %q, want %s %q", got.Status, got.Output, status, output)
	}
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestEveryTypeOfADefinitionHasItsKind(t *testing.T) {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	for _, d := range []model.CheckDefinition{
		{HTTP: "x"}, {TCP: "x"}, {UDP: "x"}, {GRPC: "x"}, {H2PING: "x"}, {ScriptArgs: []string{"x"}},
		{ScriptArgs: []string{"x"}, DockerContainerID: "y"}, {OSService: "x"}, {TTL: 1}, {AliasNode: "x"},
	} {
		if !slices.Contains(names, d.Type()) {
			t.Errorf("type %q has no kind", d.Type())
		}
	}
	if _, err := New(Spec{}, testEnv()); !fault.Is(err, fault.BadRequest) {
		t.Errorf("an empty definition: %v", err)
	}
}

func TestThresholdsKeepAStatusFromFlapping(t *testing.T) {
	const p, w, c = model.StatusPassing, model.StatusWarning, model.StatusCritical
	for _, test := range []struct {
		name        string
		def         model.CheckDefinition
		start       model.Status
		found, want []model.Status
	}{
		{"none", model.CheckDefinition{}, c, []model.Status{p, c, w, p}, []model.Status{p, c, w, p}},
		{"success", model.CheckDefinition{SuccessBeforePassing: 3}, c, []model.Status{p, p, c, p, p, p, p}, []model.Status{c, c, c, c, c, p, p}},
		{"critical", model.CheckDefinition{FailuresBeforeCritical: 3}, p, []model.Status{c, c, p, c, c, c, p}, []model.Status{p, p, p, p, p, c, p}},
		{"warning first", model.CheckDefinition{FailuresBeforeWarning: 1, FailuresBeforeCritical: 3}, p, []model.Status{c, c, c, c, p}, []model.Status{w, w, c, c, p}},
		{"critical stays while failing", model.CheckDefinition{FailuresBeforeWarning: 1, FailuresBeforeCritical: 3}, c, []model.Status{c, c, c}, []model.Status{c, c, c}},
		{"a warning is an answer", model.CheckDefinition{SuccessBeforePassing: 2}, c, []model.Status{w, p, c}, []model.Status{c, p, c}},
	} {
		m := NewThresholds(&test.def, test.start)
		var got []model.Status
		for _, f := range test.found {
			got = append(got, m.Observe(f))
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTruncatedOutputSaysHowMuchThereWas(t *testing.T) {
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'x'
	}
	got := Truncate(string(long), 0)
	if want := string(long[:4096]) + " ... (captured 4096 of 5000 bytes)"; got != want {
		t.Errorf("got %d bytes ending in %q", len(got), got[4090:])
	}
	if got := Truncate("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
}

func TestLinkLocalAndMetadataAddressesAreDenied(t *testing.T) {
	env := testEnv()
	for _, a := range []string{"169.254.169.254", "169.254.1.1", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200",
		"64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254", "fe80::1%lo", "224.0.0.1"} {
		if !env.denied(netip.MustParseAddr(a)) {
			t.Errorf("%s is allowed", a)
		}
	}
	for _, a := range []string{"127.0.0.1", "::1", "10.0.0.1", "2001:db8::1", "192.168.1.1", "8.8.8.8", "::"} {
		if env.denied(netip.MustParseAddr(a)) {
			t.Errorf("%s is denied", a)
		}
	}
	env.Allow = []netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}
	if env.denied(netip.MustParseAddr("169.254.169.254")) || !env.denied(netip.MustParseAddr("169.254.1.1")) {
		t.Error("the list of allowed addresses is not what is allowed")
	}
}

func TestAliasesMirrorTheWorstAndNeverThemselves(t *testing.T) {
	const p, w, c = model.StatusPassing, model.StatusWarning, model.StatusCritical
	check := func(id model.CheckID, svc model.ServiceID, s model.Status, out string) *model.Check {
		return &model.Check{CheckID: id, ServiceID: svc, Status: s, Output: out}
	}
	aliases := map[model.CheckID]*model.CheckDefinition{
		"alias-node": {CheckID: "alias-node", AliasNode: "node1"},
		"alias-web":  {CheckID: "alias-web", AliasService: "web"},
		"web-of-db":  {CheckID: "web-of-db", AliasService: "db", ServiceID: "web"},
		"gone":       {CheckID: "gone", AliasService: "zzz"},
	}
	for _, test := range []struct {
		name   string
		alias  model.CheckID
		checks []*model.Check
		status model.Status
		output string
	}{
		{"nothing to mirror", "alias-web", nil, p, "No checks found."},
		{"all well", "alias-web", []*model.Check{check("h", "web", p, "")}, p, "All checks passing."},
		{"the worst", "alias-web", []*model.Check{check("a", "web", w, "slow"), check("b", "web", c, "dead")}, c, `Aliased check "b" failing: dead`},
		{"the node's too", "alias-web", []*model.Check{check("n", "", c, "disk")}, c, `Aliased check "n" failing: disk`},
		{"not another service's", "alias-web", []*model.Check{check("o", "other", c, "")}, p, "No checks found."},
		{"a node's own only", "alias-node", []*model.Check{check("h", "web", c, "")}, p, "No checks found."},
		{"not itself", "alias-node", []*model.Check{check("alias-node", "", c, "")}, p, "No checks found."},
		{"not each other", "alias-node", []*model.Check{check("alias-node", "", c, ""), check("alias-web", "", c, "")}, p, "No checks found."},
		{"through another", "alias-web", []*model.Check{check("web-of-db", "web", p, ""), check("d", "db", c, "down")}, c, `Aliased check "d" failing: down`},
		{"unknown", "gone", nil, c, "Service zzz could not be found on node "},
	} {
		got, _ := Mirror(aliases[test.alias], Mirrored{
			Aliases:    aliases,
			HasService: func(id model.ServiceID) bool { return id != "zzz" },
			Checks: func(id model.ServiceID) []*model.Check {
				return slices.DeleteFunc(slices.Clone(test.checks), func(k *model.Check) bool { return k.ServiceID != id })
			},
		})
		if got.Status != test.status || got.Output != test.output {
			t.Errorf("%s: got %s %q, want %s %q", test.name, got.Status, got.Output, test.status, test.output)
		}
	}
}
