package local

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// kill leaves the host as a killed process would: nothing is told that it ends.
func (h *host) kill() { h.stop() }

func TestRegistrationsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	h, err := openHost(t, dir, checks.Env{})
	if err != nil {
		t.Fatal(err)
	}
	def := decodeService(t, `{"ID":"w1","Name":"web","Port":8080,"Tags":["a"],"Meta":{"k":"v"},"Address":"10.0.0.1",
		"Checks":[{"TTL":"1h"},{"TCP":"127.0.0.1:1","Interval":"1h","Status":"passing"}],
		"Connect":{"SidecarService":{"Proxy":{"Config":{"n":5,"f":0.5,"deep":{"l":[1,"x"]}},"Upstreams":[{"DestinationName":"db","LocalBindPort":9191}]}}}}`)
	if err := h.AddService(def, Registering{Token: model.NewSecret("hush")}); err != nil {
		t.Fatal(err)
	}
	registerCheck(t, h.State, `{"Name":"disk","TTL":"1h","ServiceID":"w1"}`)
	registerCheck(t, h.State, `{"Name":"node","TTL":"1h"}`)
	register(t, h.State, `{"Name":"gone","Check":{"TTL":"1h"}}`)
	if err := h.RemoveService("gone"); err != nil {
		t.Fatal(err)
	}
	if err := h.EnableServiceMaintenance("w1", "why", model.Secret{}); err != nil {
		t.Fatal(err)
	}
	services, list := h.Services(), h.Checks()
	h.kill()

	h = start(t, dir)
	if got := h.Services(); len(got) != len(services) {
		t.Errorf("services %v, want %v", got, services)
	}
	for id, want := range services {
		if got := h.Service(id); got == nil || !sameService(got, want) {
			t.Errorf("service %s\n got %+v\nwant %+v", id, got, want)
		}
	}
	got := h.Checks()
	for id, want := range list {
		if id == "service:w1-sidecar-proxy:2" {
			continue // an alias shows what the others do
		}
		if got[id] == nil || !reflect.DeepEqual(got[id], want) {
			t.Errorf("check %s\n got %+v\nwant %+v", id, got[id], want)
		}
	}
	if len(got) != len(list) {
		t.Errorf("%d checks, want %d", len(got), len(list))
	}
	if h.ServiceToken("w1").Reveal() != "hush" {
		t.Error("the token is lost")
	}
	if err := h.RemoveService("w1"); err != nil {
		t.Fatal(err)
	}
	if h.Service("w1-sidecar-proxy") != nil {
		t.Error("the sidecar stayed: its origin is lost")
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	h := start(t, dir)
	register(t, h.State, `{"Name":"web","Check":{"TTL":"1h"}}`)
	if err := h.UpdateTTL("service:web", model.StatusPassing, ""); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		info, err := e.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || files != 3 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestADamagedFileStopsTheStartAndIsNamed(t *testing.T) {
	for _, folder := range []string{"services", "checks", "checks/state"} {
		for name, damage := range map[string]func([]byte) []byte{
			"cut short": func(b []byte) []byte { return b[:len(b)-3] },
			"empty":     func([]byte) []byte { return nil },
			"a flipped bit": func(b []byte) []byte {
				b[len(b)-2] ^= 1
				return b
			},
			"foreign": func([]byte) []byte { return []byte(`{"Token":"","Service":{}}`) },
		} {
			dir := t.TempDir()
			h, err := openHost(t, dir, checks.Env{})
			if err != nil {
				t.Fatal(err)
			}
			register(t, h.State, `{"Name":"web","Check":{"TTL":"1h"}}`)
			if err := h.UpdateTTL("service:web", model.StatusPassing, ""); err != nil {
				t.Fatal(err)
			}
			h.stop()
			paths, _ := filepath.Glob(filepath.Join(dir, folder, "*"))
			var path string
			for _, p := range paths {
				if info, _ := os.Stat(p); !info.IsDir() {
					path = p
				}
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			broken := damage(b)
			if err := os.WriteFile(path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = openHost(t, dir, checks.Env{})
			if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") || fault.HintOf(err) == "" {
				t.Errorf("%s, %s: %v", folder, name, err)
			}
			if after, _ := os.ReadFile(path); !reflect.DeepEqual(after, broken) && len(after)+len(broken) > 0 {
				t.Errorf("%s, %s: the file was changed", folder, name)
			}
		}
	}
}

func TestAnInterruptedWriteIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	h, err := openHost(t, dir, checks.Env{})
	if err != nil {
		t.Fatal(err)
	}
	register(t, h.State, `{"Name":"web"}`)
	h.stop()
	left := filepath.Join(dir, "services", ".x.tmp-1")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	h = start(t, dir)
	if h.Service("web") == nil {
		t.Error("lost")
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("the half of a write is still there")
	}
}

func TestWithoutADataDirNothingIsWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	h := start(t, "")
	register(t, h.State, `{"Name":"web","Check":{"TTL":"1h"}}`)
	if err := h.UpdateTTL("service:web", model.StatusPassing, ""); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("%v %v", entries, err)
	}
}

func TestARegistrationThatCannotBePersistedIsRefused(t *testing.T) {
	dir := t.TempDir()
	h := start(t, dir)
	if err := os.RemoveAll(filepath.Join(dir, "services")); err != nil {
		t.Fatal(err)
	}
	err := h.AddService(decodeService(t, `{"Name":"web"}`), Registering{})
	if !fault.Is(err, fault.Internal) || h.Service("web") != nil {
		t.Errorf("got %v, and %v", err, h.Service("web"))
	}
}

func TestTTLStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h, err := openHost(t, dir, checks.Env{})
		if err != nil {
			t.Fatal(err)
		}
		register(t, h.State, `{"Name":"web","Check":{"TTL":"30s"}}`)
		register(t, h.State, `{"Name":"old","Check":{"TTL":"30s"}}`)
		if err := h.UpdateTTL("service:old", model.StatusPassing, "once"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if err := h.UpdateTTL("service:web", model.StatusWarning, "so so"); err != nil {
			t.Fatal(err)
		}
		h.stop()
		time.Sleep(20 * time.Second)

		h, err = openHost(t, dir, checks.Env{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c := h.Checks()["service:web"]; c.Status != model.StatusWarning || c.Output != "so so" {
			t.Errorf("after the restart: %+v", c)
		}
		if c := h.Checks()["service:old"]; c.Status != model.StatusCritical {
			t.Errorf("what expired meanwhile: %+v", c)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if c := h.Checks()["service:web"]; c.Status != model.StatusCritical {
			t.Errorf("it got a whole TTL again: %+v", c)
		}
		h.stop()
	})
}

func TestAPersistedScriptThatMayNotRunAnyMoreStaysCritical(t *testing.T) {
	dir := t.TempDir()
	h, err := openHost(t, dir, checks.Env{Scripts: true})
	if err != nil {
		t.Fatal(err)
	}
	register(t, h.State, `{"Name":"web","Check":{"Args":["/bin/true"],"Interval":"1h","Status":"passing"}}`)
	h.stop()
	h = start(t, dir)
	if c := h.Checks()["service:web"]; c == nil || c.Status != model.StatusCritical || !strings.Contains(c.Output, "enable_script_checks") {
		t.Errorf("got %+v", c)
	}
}

func TestReloadReplacesWhatFilesDefinedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	h, err := openHost(t, dir, checks.Env{})
	if err != nil {
		t.Fatal(err)
	}
	a := decodeService(t, `{"Name":"a","Check":{"TTL":"1h"},"Connect":{"SidecarService":{"Port":20000,"Checks":[{"TTL":"1h"}]}}}`)
	b := decodeService(t, `{"Name":"b","Check":{"TTL":"1h"}}`)
	node := &model.CheckDefinition{CheckID: "disk", Name: "disk", TTL: time.Hour}
	if _, err := h.ReplaceConfig([]*model.ServiceDefinition{a, b}, []*model.CheckDefinition{node}); err != nil {
		t.Fatal(err)
	}
	register(t, h.State, `{"Name":"api","Check":{"TTL":"1h"}}`)
	registerCheck(t, h.State, `{"Name":"extra","TTL":"1h","ServiceID":"a"}`)
	for _, id := range []model.CheckID{"service:a", "service:api", "extra"} {
		if err := h.UpdateTTL(id, model.StatusPassing, "kept"); err != nil {
			t.Fatal(err)
		}
	}
	a2 := decodeService(t, `{"Name":"a","Port":7,"Check":{"TTL":"1h"}}`)
	done, err := h.ReplaceConfig([]*model.ServiceDefinition{a2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Reloaded{Kept: 1, Removed: 3}); done != want {
		t.Errorf("got %v, want %v", done, want)
	}
	want := func(h *host) {
		t.Helper()
		if h.Service("a") == nil || h.Service("a").Port != 7 || h.Service("b") != nil || h.Service("a-sidecar-proxy") != nil || h.Service("api") == nil {
			t.Errorf("services %v", h.Services())
		}
		for _, id := range []model.CheckID{"service:a", "service:api", "extra"} {
			if c := h.Checks()[id]; c == nil || c.Status != model.StatusPassing || c.Output != "kept" {
				t.Errorf("check %s: %+v", id, c)
			}
		}
		if len(h.Checks()) != 3 {
			t.Errorf("checks %v", h.Checks())
		}
	}
	want(h)
	h.stop()

	// A restart finds the same: what files define from the files, all else from the data directory.
	h = start(t, dir)
	if h.Service("a") != nil {
		t.Error("what a file defined was persisted")
	}
	if _, err := h.ReplaceConfig([]*model.ServiceDefinition{a2}, nil); err != nil {
		t.Fatal(err)
	}
	want(h)
}

func TestABadReloadChangesNothing(t *testing.T) {
	h := start(t, "")
	good := decodeService(t, `{"Name":"a","Port":1,"Check":{"TTL":"1h"}}`)
	if _, err := h.ReplaceConfig([]*model.ServiceDefinition{good}, nil); err != nil {
		t.Fatal(err)
	}
	changed := decodeService(t, `{"Name":"a","Port":2,"Check":{"TTL":"1h"}}`)
	script := decodeService(t, `{"Name":"s","Check":{"Args":["/bin/true"],"Interval":"1s"}}`)
	for name, try := range map[string]func() error{
		"a script": func() error {
			_, err := h.ReplaceConfig([]*model.ServiceDefinition{changed, script}, nil)
			return err
		},
		"an id twice": func() error {
			_, err := h.ReplaceConfig([]*model.ServiceDefinition{changed, changed}, nil)
			return err
		},
		"a check of nothing": func() error {
			_, err := h.ReplaceConfig([]*model.ServiceDefinition{changed}, []*model.CheckDefinition{{CheckID: "x", Name: "x", TTL: 1, ServiceID: "zzz"}})
			return err
		},
	} {
		if err := try(); err == nil || h.Service("a").Port != 1 || len(h.Services()) != 1 {
			t.Errorf("%s: %v, now %v", name, err, h.Services())
		}
	}
}

func TestWhatIsCriticalForTooLongIsDeregistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := openHost(t, "", checks.Env{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.stop()
		register(t, h.State, `{"Name":"soon","Check":{"TTL":"10s","DeregisterCriticalServiceAfter":"1s"},"Connect":{"SidecarService":{}}}`)
		register(t, h.State, `{"Name":"late","Check":{"TTL":"10s","Status":"passing","DeregisterCriticalServiceAfter":"10m"}}`)
		register(t, h.State, `{"Name":"never","Check":{"TTL":"10s"}}`)
		time.Sleep(59 * time.Second)
		if h.Service("soon") == nil {
			t.Error("gone before the least of a minute")
		}
		// Registering again does not make it any healthier.
		register(t, h.State, `{"Name":"soon","Check":{"TTL":"11s","DeregisterCriticalServiceAfter":"1s"}}`)
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if h.Service("soon") != nil || h.Service("soon-sidecar-proxy") != nil {
			t.Error("still there")
		}
		time.Sleep(8 * time.Minute)
		if err := h.UpdateTTL("service:late", model.StatusPassing, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		if h.Service("late") == nil {
			t.Error("the time did not begin anew")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if h.Service("late") != nil || h.Service("never") == nil {
			t.Errorf("left: %v", h.Services())
		}
	})
}
