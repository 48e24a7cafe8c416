package local

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// inBubble runs body with a host and a catalog in a time of its own.
func inBubble(t *testing.T, body func(t *testing.T, h *host, c *catalog)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, err := openHost(t, "", checks.Env{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.stop)
		body(t, h, newCatalog())
	})
}

func TestLocalChangesAreWrittenWithinFiftyMilliseconds(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		<-follow(t, h.State, c, nil).Ready()
		began := time.Now()
		for _, name := range []string{"a", "b", "c"} {
			register(t, h.State, `{"Name":"`+name+`","Check":{"TTL":"1h"}}`)
		}
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		c.with(func() {
			if len(c.svcs) != 3 {
				t.Errorf("after %v the catalog has %v", time.Since(began), c.svcs)
			}
		})
		var before int
		c.with(func() { before = c.writes })
		time.Sleep(30 * time.Second)
		synctest.Wait()
		c.with(func() {
			if c.writes != before {
				t.Errorf("wrote although nothing changed: %v", c.log)
			}
		})
	})
}

func TestAFullSyncPutsRightWhatOthersChanged(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		sy := follow(t, h.State, c, func(o *SyncerOptions) { o.Random = func(n time.Duration) time.Duration { return n / 2 } })
		<-sy.Ready()
		register(t, h.State, `{"Name":"web"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		c.with(func() { clear(c.svcs) })
		time.Sleep(80 * time.Second)
		synctest.Wait()
		if c.service("web") != nil {
			t.Error("synced before its time")
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if c.service("web") == nil {
			t.Error("not put right")
		}
		c.with(func() { clear(c.svcs) })
		sy.Wake()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if c.service("web") == nil {
			t.Error("not put right when woken")
		}
	})
}

func TestBigClustersSyncLess(t *testing.T) {
	for n, want := range map[int]time.Duration{1: time.Minute, 128: time.Minute, 129: 2 * time.Minute, 256: 2 * time.Minute, 1000: 4 * time.Minute} {
		s := NewSyncer(SyncerOptions{Members: func() int { return n }, Random: func(time.Duration) time.Duration { return 0 }})
		if got := s.fullInterval(); got != want {
			t.Errorf("%d members: %v, want %v", n, got, want)
		}
	}
}

func TestFailuresAreRetriedWithBackoff(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		var tries atomic.Int64
		c.fail = func(string) error {
			tries.Add(1)
			return fault.New(fault.NoLeader, "No cluster leader")
		}
		sy := follow(t, h.State, c, nil)
		register(t, h.State, `{"Name":"web"}`)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := tries.Load(); n < 8 || n > 16 {
			t.Errorf("%d tries in a minute", n)
		}
		c.with(func() { c.fail = nil })
		sy.Wake()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if c.service("web") == nil {
			t.Error("a wake does not try again")
		}
	})
}

func TestAnUnknownOutcomeIsReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		failed := false
		c.fail = func(what string) error {
			if strings.HasPrefix(what, "service web") && !failed {
				failed = true
				// Done nevertheless, as after a lost answer.
				c.svcs["web"] = &model.Service{ID: "web", Service: "web", Owner: nodeID, Weights: model.Weights{Passing: 1, Warning: 1}}
				return fault.New(fault.OutcomeUnknown, "lost")
			}
			return nil
		}
		follow(t, h.State, c, nil)
		register(t, h.State, `{"Name":"web"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		c.with(func() {
			if n := len(slices.DeleteFunc(slices.Clone(c.log), func(s string) bool { return s != "service web" })); !failed || n != 0 {
				t.Errorf("written again without a look: %v", c.log)
			}
		})
	})
}

func TestWhatIsRefusedDoesNotKeepTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		var tries atomic.Int64
		c.fail = func(what string) error {
			if strings.Contains(what, "bad") {
				tries.Add(1)
				return fault.New(fault.Permission, "Permission denied")
			}
			return nil
		}
		<-follow(t, h.State, c, func(o *SyncerOptions) { o.Random = func(time.Duration) time.Duration { return 0 } }).Ready()
		register(t, h.State, `{"Name":"bad"}`)
		register(t, h.State, `{"Name":"good"}`)
		registerCheck(t, h.State, `{"Name":"bad-check","TTL":"1h"}`)
		registerCheck(t, h.State, `{"Name":"good-check","TTL":"1h"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if c.service("good") == nil || c.check("good-check") == nil || c.service("bad") != nil {
			t.Errorf("written: %v", c.log)
		}
		before := tries.Load()
		if err := h.UpdateTTL("good-check", model.StatusPassing, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if tries.Load() != before {
			t.Error("tried again although it did not change")
		}
		register(t, h.State, `{"Name":"bad","Port":2}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if tries.Load() != before+1 {
			t.Errorf("tried %d times after it changed", tries.Load()-before)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if tries.Load() == before+1 {
			t.Error("not tried again with the full sync")
		}
	})
}

func TestNothingIsWrittenUnderANameThatIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		c.fail = func(what string) error {
			if strings.HasPrefix(what, "node") {
				return fault.New(fault.Invalid, "Node name node1 is reserved")
			}
			return nil
		}
		follow(t, h.State, c, nil)
		register(t, h.State, `{"Name":"web"}`)
		time.Sleep(time.Minute)
		synctest.Wait()
		c.with(func() {
			if c.writes != 0 {
				t.Errorf("wrote %v", c.log)
			}
		})
	})
}

func TestOutputsAreWrittenAtTheirInterval(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		<-follow(t, h.State, c, nil).Ready()
		registerCheck(t, h.State, `{"Name":"c","TTL":"1h","Status":"passing"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		update := func(status model.Status, output string) {
			t.Helper()
			if err := h.UpdateTTL("c", status, output); err != nil {
				t.Fatal(err)
			}
		}
		update(model.StatusPassing, "one")
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if got := c.check("c").Output; got != "" {
			t.Errorf("written at once: %q", got)
		}
		update(model.StatusPassing, "two")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := c.check("c").Output; got != "two" {
			t.Errorf("after the interval: %q", got)
		}
		update(model.StatusWarning, "three")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := c.check("c"); got.Output != "three" || got.Status != model.StatusWarning {
			t.Errorf("with a status: %+v", got)
		}
	})
}

func TestTagsOfOthersStayUntilTheServiceIsRegisteredAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		sy := follow(t, h.State, c, nil)
		<-sy.Ready()
		register(t, h.State, `{"Name":"web","Tags":["mine"],"EnableTagOverride":true}`)
		time.Sleep(time.Second)
		synctest.Wait()
		c.with(func() { c.svcs["web"].Tags = []string{"theirs"} })
		sy.Wake()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := h.Service("web").Tags; !slices.Equal(got, []string{"theirs"}) {
			t.Errorf("got %v", got)
		}
		if got := c.service("web").Tags; !slices.Equal(got, []string{"theirs"}) {
			t.Errorf("in the catalog %v", got)
		}
	})
}

func TestTheTokenOfARegistrationWritesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, _ *catalog) {
		if err := h.AddService(decodeService(t, `{"Name":"web","Check":{"TTL":"1h"}}`), Registering{Token: model.NewSecret("t")}); err != nil {
			t.Fatal(err)
		}
		for _, c := range Diff(h.Desired(), nil, time.Now()).Changes {
			want := ""
			if !c.isNode() {
				want = "t"
			}
			if c.Token.Reveal() != want || c.Register.Owner != nodeID {
				t.Errorf("%s: token %q, owner %s", c, c.Token.Reveal(), c.Register.Owner)
			}
		}
	})
}

func TestASyncerEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, h *host, c *catalog) {
		c.fail = func(string) error { return errors.New("down") }
		follow(t, h.State, c, func(o *SyncerOptions) { o.Log = hclog.NewNullLogger() })
		time.Sleep(time.Second)
		synctest.Wait()
	})
}

func TestLogShowsTheFirstLineOfAnOutputAndNoEmptyHint(t *testing.T) {
	for output, want := range map[string]string{
		"": "", "plain": "plain", "\n HTTP GET: 500 \r\nOutput: <html>\n</html>": "HTTP GET: 500",
		strings.Repeat("é", 300): strings.Repeat("é", 100) + "...",
	} {
		if got := firstLine(output); got != want {
			t.Errorf("%q is shown as %q, want %q", output, got, want)
		}
	}
	if f := failure(errors.New("x"), "what", "y"); len(f) != 4 {
		t.Errorf("fields without a hint: %v", f)
	}
	if f := failure(fault.New(fault.Invalid, "x").WithHint("z"), "what", "y"); len(f) != 6 || f[5] != "z" {
		t.Errorf("fields with a hint: %v", f)
	}
}
