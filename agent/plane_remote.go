package agent

import (
	"context"
	"strconv"
	"time"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/controlplane"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/gossip"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/rpc"
)

// remotePlane is the plane of an agent that asks servers.
type remotePlane struct {
	*controlplane.Remote
	datacenter string
	config     *config.Config
}

// newRemotePlane opens the way to the servers that the gossip pool knows.
func (a *Agent) newRemotePlane(c *config.Config) (plane, error) {
	return &remotePlane{
		datacenter: c.Datacenter, config: c,
		Remote: controlplane.NewRemote(controlplane.RemoteConfig{
			Datacenter: c.Datacenter, Reads: a.reads, HoldTimeout: c.Performance.RPCHoldTimeout,
			Servers: a.knownServers, Agents: a.pool.MemberCount, Logger: a.log.Named("rpc"),
		}),
	}, nil
}

// knownServers are the servers that the gossip pool sees alive.
func (a *Agent) knownServers() []rpc.ServerAddr {
	var list []rpc.ServerAddr
	for _, m := range a.pool.Members() {
		if s, ok := gossip.ServerOf(m); ok && m.Status == model.MemberAlive {
			list = append(list, rpc.ServerAddr{Name: s.Name, Addr: s.RPCAddr()})
		}
	}
	return list
}

// Read implements httpapi.ControlPlane.
func (p *remotePlane) Read(ctx context.Context, req model.Request, q view.Query, from httpapi.Backend) (*view.Result, model.ReadMeta, error) {
	if from == httpapi.FromView {
		return p.ReadView(ctx, req, q, p.wait(req))
	}
	result, meta, err := p.Remote.Read(ctx, req, q)
	if fault.Is(err, fault.Unavailable) && req.Read.Mode == model.ConsistencyStale {
		// Any server may answer, and none does: what this agent knows is the stalest answer there is.
		if r, m, viewErr := p.ReadView(ctx, req, q, 0); viewErr == nil {
			m.Streaming = false
			return r, m, nil
		}
	}
	return result, meta, err
}

// wait is how long a read from a view may take. One that does not block waits for the first result only, as long
// as a request to a server would be held.
func (p *remotePlane) wait(req model.Request) time.Duration {
	switch {
	case req.Read.MinIndex == 0:
		return p.config.Performance.RPCHoldTimeout
	case req.Read.MaxWait <= 0:
		return p.config.DefaultQueryTime
	default:
		return min(req.Read.MaxWait, p.config.MaxQueryTime)
	}
}

// ConfigureCA implements httpapi.ControlPlane.
func (p *remotePlane) ConfigureCA(ctx context.Context, req model.Request, provider string, config map[string]any, _ bool) error {
	return p.Remote.ConfigureCA(ctx, req, provider, config)
}

// Leader implements httpapi.ControlPlane.
func (p *remotePlane) Leader(ctx context.Context, req model.Request) (string, error) {
	s, err := p.Status(ctx, req)
	if err != nil {
		return "", err
	}
	return s.Leader, nil
}

// Peers implements httpapi.ControlPlane.
func (p *remotePlane) Peers(ctx context.Context, req model.Request) ([]string, error) {
	s, err := p.Status(ctx, req)
	if err != nil {
		return nil, err
	}
	return s.Peers, nil
}

// Datacenters implements httpapi.ControlPlane.
func (p *remotePlane) Datacenters(context.Context, model.Request) ([]string, error) {
	return []string{p.datacenter}, nil
}

// SetLimits implements plane: a client agent listens for no RPC.
func (*remotePlane) SetLimits(*config.Config) {}

// Stats implements plane.
func (p *remotePlane) Stats() map[string]map[string]string {
	section := map[string]string{"server": "false", "known_servers": strconv.Itoa(len(p.KnownServers()))}
	return map[string]map[string]string{"consul": section}
}
