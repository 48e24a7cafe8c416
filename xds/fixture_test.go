package xds_test

import (
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/xds"
)

const (
	uuid        = "11111111-2222-3333-4444-555555555555"
	trustDomain = model.TrustDomain(uuid + ".consul")
)

func roots() *model.CARoots {
	return &model.CARoots{ActiveRootID: "aa", TrustDomain: string(trustDomain),
		Roots: []*model.CARoot{{ID: "aa", RootCert: "root one\n", Active: true}}}
}

func leaf(serial string) *model.LeafCert {
	return &model.LeafCert{SerialNumber: serial, CertPEM: "certificate " + serial + "\n", PrivateKeyPEM: model.NewSecret("key " + serial + "\n"), Service: "web"}
}

// sidecar is the snapshot of web's sidecar as the recorded scenarios register it.
func sidecar(config map[string]any) *xds.Snapshot {
	return &xds.Snapshot{
		Proxy: &model.Service{Kind: model.KindConnectProxy, ID: "web-sidecar-proxy", Service: "web-sidecar-proxy", Port: 21000,
			Proxy: &model.Proxy{DestinationServiceName: "web", DestinationServiceID: "web", LocalServiceAddress: "127.0.0.1",
				LocalServicePort: 8080, Config: config}},
		Datacenter: "dc1", Roots: roots(), Leaf: leaf("01"), DefaultAllow: true,
	}
}

// instance is a sidecar of a service on a node.
func instance(address string, port int, status model.Status) *model.Instance {
	return &model.Instance{
		Node:    &model.Node{Node: model.NodeName("node-" + address), Address: address},
		Service: &model.Service{Kind: model.KindConnectProxy, ID: "px", Port: port, Weights: model.Weights{Passing: 1, Warning: 1}},
		Checks:  []*model.Check{{CheckID: "c", Status: status}},
	}
}

// with adds an upstream to a snapshot, with endpoints unless instances is nil.
func with(t testing.TB, s *xds.Snapshot, u xds.Upstream, instances []*model.Instance) {
	t.Helper()
	if instances != nil {
		e, err := xds.NewEndpoints(s.Target(&u), instances)
		if err != nil {
			t.Fatal(err)
		}
		u.Endpoints = e
	}
	s.Upstreams = append(s.Upstreams, u)
}

func upstream(name model.ServiceName) xds.Upstream {
	return xds.Upstream{As: &model.Upstream{DestinationName: name, LocalBindPort: 9191}}
}

func build(t testing.TB, s *xds.Snapshot) *xds.Resources {
	t.Helper()
	r, err := xds.Build(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Errorf("problem: %v", p)
	}
	return r
}

func intentions(list ...*model.Intention) []*model.Intention {
	return intention.MatchDestination(list, "web")
}

func rule(source, destination model.ServiceName, action model.Action) *model.Intention {
	return &model.Intention{SourceName: source, DestinationName: destination, Action: action}
}

var dbInstances = []*model.Instance{
	instance("10.0.0.2", 20000, model.StatusCritical),
	instance("10.0.0.1", 20000, model.StatusPassing),
}

// scenario is the snapshot of a recorded scenario.
func scenario(t testing.TB, name string) *xds.Snapshot {
	t.Helper()
	one := []*model.Instance{instance("10.0.0.1", 20000, model.StatusPassing)}
	http := map[string]any{"protocol": "http"}
	switch name {
	case "sidecar-tcp", "sidecar-tcp-intentions":
		s := sidecar(nil)
		with(t, s, upstream("db"), dbInstances)
		if name == "sidecar-tcp-intentions" {
			s.Intentions = intentions(rule("*", "web", "deny"), rule("api", "web", "allow"), rule("bad", "web", "deny"), rule("*", "*", "deny"))
		}
		return s
	case "sidecar-http", "sidecar-http-l7-intentions":
		s := sidecar(http)
		u := upstream("api")
		u.Config = http
		with(t, s, u, one)
		return s
	case "sidecar-grpc-http2":
		s := sidecar(map[string]any{"protocol": "grpc"})
		u := upstream("api")
		u.Protocol = "http2"
		with(t, s, u, one)
		return s
	case "default-deny-acl":
		s := sidecar(nil)
		s.DefaultAllow = false
		s.Intentions = intentions(rule("api", "web", "allow"))
		return s
	case "upstream-config":
		return upstreamConfig(t, one)
	}
	t.Fatalf("no scenario %q", name)
	return nil
}

func upstreamConfig(t testing.TB, api []*model.Instance) *xds.Snapshot {
	s := sidecar(map[string]any{"protocol": "HTTP", "max_inbound_connections": 55.0, "local_connect_timeout_ms": "1500",
		"local_request_timeout_ms": int64(2500), "balance_inbound_connections": "exact_balance"})
	limits := map[string]any{"MaxConnections": 11, "MaxPendingRequests": 12.0, "max_concurrent_requests": "13"}
	for _, as := range []*model.Upstream{
		{DestinationName: "api", LocalBindPort: 9191, LocalBindAddress: "127.0.0.5", Config: map[string]any{
			"passive_health_check": map[string]any{"interval": "7s", "max_failures": 4, "enforcing_consecutive_5xx": 80,
				"max_ejection_percent": 30, "base_ejection_time": float64(20 * time.Second)},
			"balance_outbound_connections": "exact_balance"}},
		{DestinationName: "api2", LocalBindSocketPath: "/tmp/api2.sock", LocalBindSocketMode: "0600", Config: map[string]any{}},
		{DestinationName: "far", Datacenter: "dc2", LocalBindPort: 9300, Config: map[string]any{}},
	} {
		as.Config["protocol"], as.Config["limits"], as.Config["connect_timeout_ms"] = "http", limits, 4000
		instances := map[model.ServiceName][]*model.Instance{"api": api, "api2": {}}[as.DestinationName]
		with(t, s, xds.Upstream{As: as, Customization: "80b25de3"}, instances)
	}
	return s
}
