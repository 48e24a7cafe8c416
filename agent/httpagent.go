package agent

import (
	"context"
	"runtime"
	"strconv"
	"time"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/version"
)

// settings is the configuration as of now.
func (a *Agent) settings() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

// httpAgent is the agent as the HTTP API asks it.
type httpAgent struct{ agent *Agent }

// Self implements httpapi.Agent.
func (h httpAgent) Self() httpapi.Self {
	a, c := h.agent, h.agent.settings()
	self := httpapi.Self{
		Datacenter: c.Datacenter, PrimaryDatacenter: c.PrimaryDatacenter, Node: c.NodeName, NodeID: a.nodeID, Server: c.Server,
		Debug: c.Sanitized(), Member: a.pool.LocalMember(), Stats: a.stats(), Meta: a.self(c).Meta,
		GRPCPort: c.Ports.GRPC, GRPCTLSPort: c.Ports.GRPCTLS,
		Lictor: map[string]any{"Version": version.Own()},
	}
	if co, ok := a.pool.Coordinate(); ok {
		self.Coordinate = &httpapi.Coordinate{Vec: co.Vec, Error: co.Error, Adjustment: co.Adjustment, Height: co.Height}
	}
	return self
}

// stats are facts by section, for the info command.
func (a *Agent) stats() map[string]map[string]string {
	services, list := a.local.Services(), a.local.Checks()
	stats := map[string]map[string]string{
		"agent": {
			"services": strconv.Itoa(len(services)), "checks": strconv.Itoa(len(list)),
			"check_monitors": "0", "check_ttls": strconv.Itoa(count(list, "ttl")),
		},
		"build":    {"version": version.Compat, "revision": version.Revision(), "prerelease": "", "lictor_version": version.Own()},
		"runtime":  runtimeStats(),
		"serf_lan": a.pool.Stats(),
	}
	for section, facts := range a.plane.Stats() {
		stats[section] = facts
	}
	return stats
}

func count(list map[model.CheckID]*model.Check, kind string) int {
	n := 0
	for _, c := range list {
		if c.Type == kind {
			n++
		}
	}
	return n
}

func runtimeStats() map[string]string {
	return map[string]string{
		"arch": runtime.GOARCH, "os": runtime.GOOS, "version": runtime.Version(),
		"max_procs": strconv.Itoa(runtime.GOMAXPROCS(0)), "cpu_count": strconv.Itoa(runtime.NumCPU()),
		"goroutines": strconv.Itoa(runtime.NumGoroutine()),
	}
}

// Members implements httpapi.Agent.
func (h httpAgent) Members(wan bool) []model.Member {
	if !wan {
		return h.agent.pool.Members()
	}
	if c := h.agent.settings(); c.Server {
		m := h.agent.pool.LocalMember()
		m.Name += model.NodeName("." + c.Datacenter)
		m.Port = uint16(max(c.Ports.SerfWAN, 0))
		return []model.Member{m}
	}
	return nil
}

// Reload implements httpapi.Agent.
func (h httpAgent) Reload(context.Context, model.Request) (httpapi.Reloaded, error) {
	return h.agent.Reload()
}

// Leave implements httpapi.Agent.
func (h httpAgent) Leave(context.Context, model.Request) error {
	// The answer goes out before the listeners close.
	time.AfterFunc(50*time.Millisecond, h.agent.Leave)
	return nil
}
