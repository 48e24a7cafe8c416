package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lictor-mesh/lictor/internal/testagent"
	"github.com/lictor-mesh/lictor/xds/adstest"
)

// sidecars registers db and web, which calls db, each with a sidecar, all healthy.
func sidecars(t *testing.T, a *testagent.Agent) {
	t.Helper()
	passing := &api.AgentServiceCheck{TTL: "1h", Status: "passing"}
	for name, upstreams := range map[string][]api.Upstream{"db": nil, "web": {{DestinationName: "db", LocalBindPort: 9191}}} {
		err := a.Client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: name, Port: 8080, Address: "127.0.0.1", Check: passing,
			Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{
				Check: passing, Proxy: &api.AgentServiceConnectProxyConfig{Upstreams: upstreams}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func stream(t *testing.T, a *testagent.Agent, o adstest.Options) *adstest.Client {
	t.Helper()
	conn, err := grpc.NewClient(a.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c, err := adstest.Open(t.Context(), conn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func await(t *testing.T, c *adstest.Client, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.Wait(ctx, cond); err != nil {
		t.Fatal(err)
	}
}

func TestProxyIsToldOfItsUpstreamAndOfIntentions(t *testing.T) {
	a := testagent.Start(t, testagent.Load(t, server, true).WithEphemeralPorts())
	c := stream(t, a, adstest.Options{Node: "web-sidecar-proxy"})
	sidecars(t, a) // the stream was there first: it waits
	await(t, c, c.Ready)
	db := stream(t, a, adstest.Options{Node: "db-sidecar-proxy"})
	await(t, db, db.Ready)
	before := db.Versions(adstest.Listeners)
	if _, err := a.Client.Connect().IntentionUpsert(&api.Intention{SourceName: "web", DestinationName: "db", Action: api.IntentionActionDeny}, nil); err != nil {
		t.Fatal(err)
	}
	await(t, db, func() bool {
		for name, version := range db.Versions(adstest.Listeners) {
			if before[name] != version {
				return true
			}
		}
		return false
	})
	for _, s := range []*adstest.Client{c, db} {
		if f := s.Faults(); len(f) > 0 {
			t.Errorf("the protocol was broken: %v", f)
		}
	}
}

func TestRefusalOfAProxyIsVisible(t *testing.T) {
	a := testagent.Start(t, testagent.Load(t, server, true).WithEphemeralPorts())
	sidecars(t, a)
	stream(t, a, adstest.Options{Node: "web-sidecar-proxy", Refuse: func(r *discoveryv3.DeltaDiscoveryResponse) string {
		if r.TypeUrl == adstest.Listeners {
			return "this listener is not to my taste"
		}
		return ""
	}})
	var status struct {
		Connected, Healthy bool
		LastNACK           struct{ TypeURL, Reason string }
	}
	testagent.Until(t, "the refusal is visible", func() bool {
		resp, err := http.Get("http://" + a.HTTP + "/v1/agent/proxy/status/web-sidecar-proxy")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return json.NewDecoder(resp.Body).Decode(&status) == nil && status.LastNACK.Reason != ""
	})
	if !status.Connected || status.Healthy || status.LastNACK.TypeURL != adstest.Listeners || status.LastNACK.Reason != "this listener is not to my taste" {
		t.Errorf("%+v", status)
	}
}

func TestDrainTakesAnInstanceFromItsCallersFirst(t *testing.T) {
	a := testagent.Start(t, testagent.Load(t, server, true).WithEphemeralPorts())
	sidecars(t, a)
	c := stream(t, a, adstest.Options{Node: "web-sidecar-proxy"})
	await(t, c, c.Ready)
	healthy := func() bool {
		list, _, err := a.Client.Health().Connect("db", "", true, nil)
		return err == nil && len(list) == 1
	}
	testagent.Until(t, "db is healthy", healthy)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+a.HTTP+"/v1/agent/proxy/drain/db-sidecar-proxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewScanner(resp.Body)
	var stages []string
	for len(stages) < 2 && in.Scan() {
		stages = append(stages, in.Text())
	}
	if strings.Join(stages, " ") != "draining drained" || healthy() {
		t.Errorf("stages %v, still healthy: %v", stages, healthy())
	}
	cancel()
	testagent.Until(t, "db comes back when the lease has ended and its checks have told", func() bool {
		// A TTL check is waited for until its next update.
		_ = a.Client.Agent().UpdateTTL("service:db-sidecar-proxy", "", api.HealthPassing)
		_ = a.Client.Agent().UpdateTTL("service:db", "", api.HealthPassing)
		return healthy()
	})
}
