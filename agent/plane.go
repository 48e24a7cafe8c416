package agent

import (
	"context"
	"net"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/controlplane"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/rpc"
)

// plane is the control plane as an agent sees it: its own server, or servers elsewhere.
type plane interface {
	httpapi.ControlPlane
	// Sign certifies a key of this host's for a service.
	Sign(ctx context.Context, req model.Request, csr string, service model.ServiceName) (*model.LeafCert, error)
	// Views is the source of this agent's own views.
	Views() view.Source
	// MembersChanged tells that the gossip pool has changed. It does not wait.
	MembersChanged()
	// SetLimits takes over the limits of the configuration after a reload.
	SetLimits(c *config.Config)
	// Stats are facts for the info command, by section.
	Stats() map[string]map[string]string
	// Run works until ctx ends.
	Run(ctx context.Context) error
}

// newPlane opens this agent's own server, or the way to the servers.
func (a *Agent) newPlane(c *config.Config) (plane, error) {
	if c.Server {
		return a.newServerPlane(c)
	}
	return a.newRemotePlane(c)
}

// serverPlane is the plane of an agent that is a server.
type serverPlane struct {
	*controlplane.Server
	datacenter string
	changed    chan struct{}
	rpc        *rpc.Server
	listener   net.Listener
}

// Read implements httpapi.ControlPlane.
func (p *serverPlane) Read(ctx context.Context, req model.Request, q view.Query, from httpapi.Backend) (*view.Result, model.ReadMeta, error) {
	r, meta, err := p.Server.Read(ctx, req, q)
	if from == httpapi.FromView {
		meta.Streaming, meta.KnownLeader = true, false
	}
	return r, meta, err
}

// ConfigureCA implements httpapi.ControlPlane.
func (p *serverPlane) ConfigureCA(ctx context.Context, req model.Request, provider string, config map[string]any, _ bool) error {
	return p.Server.ConfigureCA(ctx, req, provider, config)
}

// Leader implements httpapi.ControlPlane.
func (p *serverPlane) Leader(_ context.Context, req model.Request) (string, error) {
	s, err := p.Status(req)
	if err != nil {
		return "", err
	}
	return s.Leader, nil
}

// Peers implements httpapi.ControlPlane.
func (p *serverPlane) Peers(_ context.Context, req model.Request) ([]string, error) {
	s, err := p.Status(req)
	if err != nil {
		return nil, err
	}
	return s.Peers, nil
}

// Datacenters implements httpapi.ControlPlane.
func (p *serverPlane) Datacenters(context.Context, model.Request) ([]string, error) {
	return []string{p.datacenter}, nil
}

// MembersChanged implements plane.
func (p *serverPlane) MembersChanged() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Stats implements plane.
func (p *serverPlane) Stats() map[string]map[string]string {
	node := p.Consensus()
	_, leader := node.Leader()
	section := map[string]string{
		"server": "true", "leader": "false", "leader_addr": string(leader), "known_datacenters": "1", "bootstrap": "false",
	}
	if node.IsLeader() {
		section["leader"] = "true"
	}
	return map[string]map[string]string{"consul": section, "raft": node.Stats()}
}

// catalog is the catalog as the syncer of a node needs it.
type catalog struct {
	plane plane
	reads *read.Set
	node  model.NodeName
}

// NodeServices implements local.Catalog.
func (c catalog) NodeServices(ctx context.Context) (*model.NodeServices, error) {
	r, _, err := c.plane.Read(ctx, model.Request{}, c.reads.Node.Query(read.NodeArgs{Node: c.node}), httpapi.FromServer)
	if err != nil {
		return nil, err
	}
	n := c.reads.Node.Value(r)
	if n.Node == nil {
		return nil, nil
	}
	return n, nil
}

// Register implements local.Catalog.
func (c catalog) Register(ctx context.Context, token model.Secret, r *model.Registration) error {
	_, err := c.plane.Apply(ctx, model.Request{Token: token}, &command.Register{Registration: *r})
	return err
}

// Deregister implements local.Catalog.
func (c catalog) Deregister(ctx context.Context, token model.Secret, d *model.Deregistration) error {
	_, err := c.plane.Apply(ctx, model.Request{Token: token}, &command.Deregister{Deregistration: *d})
	return err
}

// remoteChecks reads other nodes' checks for alias checks.
type remoteChecks struct {
	plane plane
	reads *read.Set
}

// NodeChecks implements checks.NodeChecks.
func (r remoteChecks) NodeChecks(_ context.Context, node model.NodeName) ([]*model.Check, <-chan struct{}, error) {
	w, err := r.plane.Views().Watch(r.reads.NodeChecks.Query(read.NodeArgs{Node: node}))
	if err != nil {
		return nil, nil, err
	}
	// The view stays for a while without this hold; who asks again has it again.
	defer w.Close()
	result, changed := w.Current()
	if result == nil {
		return nil, changed, nil
	}
	list := *r.reads.NodeChecks.Value(result)
	if len(list) == 0 {
		return nil, changed, fault.New(fault.NotFound, "node %s has no checks", node)
	}
	return list, changed, nil
}
