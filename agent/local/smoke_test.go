package local

import (
	"testing"

	"github.com/lictor-mesh/lictor/model"
)

func TestRegistrationsReachTheCatalog(t *testing.T) {
	h := start(t, t.TempDir())
	c := newCatalog()
	sy := follow(t, h.State, c, nil)
	<-sy.Ready()
	register(t, h.State, `{"Name":"web","Port":8080,"Tags":["t"],"Check":{"TTL":"1h"},"Connect":{"SidecarService":{}}}`)
	eventually(t, "the sidecar is in the catalog", func() bool { return c.service("web-sidecar-proxy") != nil })
	if err := h.UpdateTTL("service:web", model.StatusPassing, "ok"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the check passes", func() bool { return c.check("service:web").Status == model.StatusPassing })
	if err := h.RemoveService("web"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are gone", func() bool { return c.service("web") == nil && c.service("web-sidecar-proxy") == nil })
	c.with(func() {
		if len(c.chks) != 0 {
			t.Errorf("checks left: %v", c.chks)
		}
		t.Log(c.log)
	})
}
