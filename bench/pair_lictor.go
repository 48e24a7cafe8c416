package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lictorPair is what a user of the mesh has: an agent, and a sidecar on each side that it configures.
func lictorPair() pairKind {
	return pairKind{name: lictorName, missing: func() []string { return nil }, start: startLictor}
}

func startLictor(ctx context.Context, r *rig, dir, backend string) (*pair, error) {
	agent, err := startServer(r, dir, "agent", r.binary)
	if err != nil {
		return nil, err
	}
	p := &pair{helpers: []*process{agent.process}, profiles: map[string]string{}}
	if err := agent.writable(ctx, 20*time.Second); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	p.front = loopback(ports[0])
	_, backendPort, _ := strings.Cut(backend, ":")
	application, err := strconv.Atoi(backendPort)
	if err != nil {
		return nil, err
	}
	if err := agent.put("/v1/agent/service/register", meshService("db", application, ports[1], nil)); err != nil {
		return nil, fmt.Errorf("registering db: %w", err)
	}
	public, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	if err := agent.put("/v1/agent/service/register", meshService("web", 1, public[0], []meshUpstream{{"db", ports[0]}})); err != nil {
		return nil, fmt.Errorf("registering web: %w", err)
	}
	if p.server, err = startSidecar(ctx, r, dir, agent, "db", p.profiles); err != nil {
		return nil, err
	}
	p.client, err = startSidecar(ctx, r, dir, agent, "web", p.profiles)
	return p, err
}

// meshRegistration is the body of /v1/agent/service/register as far as it is needed here.
type meshRegistration struct {
	ID, Name string
	Port     int
	Connect  meshConnect
}

type meshConnect struct{ SidecarService meshSidecar }

type meshSidecar struct {
	Port int
	// Checks replaces the usual ones, which wait for their first interval.
	Checks []meshCheck
	Proxy  meshProxy
}

type meshCheck struct{ Name, AliasService string }

type meshProxy struct{ Upstreams []meshUpstream }

type meshUpstream struct {
	DestinationName string
	LocalBindPort   int
}

func meshService(name string, port, public int, upstreams []meshUpstream) meshRegistration {
	return meshRegistration{ID: name, Name: name, Port: port, Connect: meshConnect{meshSidecar{
		Port: public, Checks: []meshCheck{{"alias", name}}, Proxy: meshProxy{upstreams},
	}}}
}

// startSidecar starts the sidecar of an instance and waits until it says that it is ready.
func startSidecar(ctx context.Context, r *rig, dir string, agent *server, id string, profiles map[string]string) (*process, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	admin := loopback(ports[0])
	args := []string{"connect", "proxy", "-sidecar-for", id, "-admin-addr", admin, "-http-addr", agent.http, "-drain-timeout", "1s"}
	if r.profile != "" {
		profiles[id] = loopback(ports[1])
		args = append(args, "-pprof-addr", profiles[id])
	}
	p, err := r.start(dir, "sidecar-"+id, nil, r.binary, args...)
	if err != nil {
		return nil, err
	}
	return p, sidecarReady(ctx, p, admin)
}

// sidecarReady waits for /ready, asking every millisecond.
func sidecarReady(ctx context.Context, p *process, admin string) error {
	c := http.Client{Timeout: time.Second}
	return until(ctx, 20*time.Second, time.Millisecond, p.name+" is ready", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		answer, err := c.Get("http://" + admin + "/ready")
		if err != nil {
			return err
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("/ready says %s", answer.Status)
		}
		return nil
	})
}
