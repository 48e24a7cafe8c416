package local

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func TestALeaseTakesAnInstanceOutAndSaysWhenTheCatalogKnows(t *testing.T) {
	h := start(t, t.TempDir())
	c := newCatalog()
	sy := follow(t, h.State, c, nil)
	<-sy.Ready()
	register(t, h.State, `{"Name":"db","Check":{"TTL":"1h","Status":"passing"},"Connect":{"SidecarService":{"Checks":[{"AliasService":"db"}]}}}`)
	l, err := h.Lease("db")
	if err != nil {
		t.Fatal(err)
	}
	if h.Health("db").Status != model.StatusCritical || h.Health("db-sidecar-proxy").Status != model.StatusCritical {
		t.Error("it is not out here, at once, with its sidecar")
	}
	<-l.Synced()
	if k := c.check("_drain:db"); k == nil || k.Status != model.StatusCritical || k.ServiceID != "db" {
		t.Errorf("in the catalog: %+v", k)
	}
	if err := h.RemoveCheck("_drain:db"); !fault.Is(err, fault.BadRequest) {
		t.Errorf("removed by hand: %v", err)
	}
	l.Release()
	if h.Health("db").Status != model.StatusCritical {
		t.Error("a TTL check has told nothing new")
	}
	if err := h.UpdateTTL("service:db", model.StatusPassing, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the catalog has it back", func() bool { return c.check("_drain:db") == nil && h.Health("db").Status == model.StatusPassing })
	if _, err := h.Lease("zzz"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestAProcessThatEndedAfterItsDrainIsNeverSeenHealthy(t *testing.T) {
	h := start(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	register(t, h.State, `{"Name":"db","Check":{"TCP":"`+l.Addr().String()+`","Interval":"1h","FailuresBeforeCritical":2}}`)
	if _, err := h.Kick("service:db"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it passes", func() bool { return h.Health("db").Status == model.StatusPassing })
	lease, err := h.Lease("db")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var healthy atomic.Bool
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			changed := h.Changed()
			if h.Health("db").Status == model.StatusPassing {
				healthy.Store(true)
			}
			select {
			case <-changed:
			case <-stop:
				return
			}
		}
	}()
	lease.Release()
	lease.Release() // once more does nothing
	eventually(t, "the lease ends", func() bool { return h.Checks()["_drain:db"] == nil })
	close(stop)
	<-done
	if healthy.Load() || h.Health("db").Status != model.StatusCritical {
		t.Error("it was seen healthy")
	}
}

func TestAnInstanceThatIsWellComesBackAtOnceAfterItsLease(t *testing.T) {
	h := start(t, "")
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	register(t, h.State, `{"Name":"db","Check":{"HTTP":"`+s.URL+`","Interval":"1h"}}`)
	one, _ := h.Lease("db")
	two, err := h.Lease("db")
	if err != nil {
		t.Fatal(err)
	}
	one.Release()
	if h.Checks()["_drain:db"] == nil {
		t.Error("it ended while somebody holds it")
	}
	two.Release()
	eventually(t, "it is back", func() bool { return h.Health("db").Status == model.StatusPassing })
}

func TestALeaseTakenWhileAnotherEndsHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := openHost(t, "", checks.Env{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.stop()
		register(t, h.State, `{"Name":"db","Check":{"TTL":"1m","Status":"passing"}}`)
		one, _ := h.Lease("db")
		one.Release()
		synctest.Wait()
		two, _ := h.Lease("db")
		if err := h.UpdateTTL("service:db", model.StatusPassing, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if h.Checks()["_drain:db"] == nil {
			t.Error("the end of the first took the second away")
		}
		two.Release()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if h.Checks()["_drain:db"] != nil || h.Health("db").Status != model.StatusCritical {
			t.Error("the end of the TTL is a result too")
		}
	})
}

func TestARestartClearsLeases(t *testing.T) {
	dir := t.TempDir()
	h, err := openHost(t, dir, checks.Env{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	register(t, h.State, `{"Name":"db","Check":{"TCP":"`+l.Addr().String()+`","Interval":"1h","Status":"passing"}}`)
	c := newCatalog()
	for _, w := range Diff(h.Desired(), nil, time.Now()).Changes {
		if err := c.write(w); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Lease("db"); err != nil {
		t.Fatal(err)
	}
	for _, w := range Diff(h.Desired(), c.read(), time.Now()).Changes {
		if err := c.write(w); err != nil {
			t.Fatal(err)
		}
	}
	if c.check("_drain:db") == nil {
		t.Fatal("the lease is not in the catalog")
	}
	h.kill()
	h = start(t, dir)
	if h.Checks()["_drain:db"] != nil {
		t.Error("the lease was persisted")
	}
	follow(t, h.State, c, nil)
	eventually(t, "the catalog forgets it", func() bool { return c.check("_drain:db") == nil })
	if k := c.check("service:db"); k.Status != model.StatusPassing {
		t.Errorf("the check: %+v", k)
	}
}

func TestKickServiceRunsItsChecksNow(t *testing.T) {
	h := start(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	register(t, h.State, `{"Name":"web","Port":1,"Connect":{"SidecarService":{"Port":`+port+`}}}`)
	if h.Health("web-sidecar-proxy").Status != model.StatusCritical {
		t.Fatal("it was checked already")
	}
	if err := h.KickService("web-sidecar-proxy"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it passes", func() bool { return h.Health("web-sidecar-proxy").Status == model.StatusPassing })
	if err := h.KickService("zzz"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}
