package agent

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/controlplane"
	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/gossip"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
	"github.com/lictor-mesh/lictor/rpc"
	"github.com/lictor-mesh/lictor/rpc/raftnet"
)

// newServerPlane opens this agent's own server.
func (a *Agent) newServerPlane(c *config.Config) (plane, error) {
	address := raft.ServerAddress(fmt.Sprintf("%s:%d", c.AdvertiseAddr, a.sockets.rpcPort(c)))
	if a.dir.has("services") && !a.dir.has("raft/wal") {
		a.log.Warn("this data_dir holds registrations but no Raft data: the server begins with an empty cluster; "+
			"if it was a server before, stop it and restore raft/ from a backup", "data_dir", a.dir.path)
	}
	pool := rpc.NewPool(rpc.PoolConfig{})
	transport := raftnet.New(raftnet.Config{Address: address, Pool: pool, Logger: a.log.Named("raft")})
	a.onClose(func() {
		_ = transport.Close()
		_ = pool.Close()
	})
	p := &serverPlane{datacenter: c.Datacenter, changed: make(chan struct{}, 1)}
	server, err := controlplane.NewServer(controlplane.Config{
		Datacenter: c.Datacenter, Reads: a.reads,
		Connect: c.Connect.Enabled, CAProvider: c.Connect.CAProvider, CAConfig: c.Connect.CAConfig, LeafTTL: c.Lictor.LeafCertTTLOverride,
		DefaultWait: c.DefaultQueryTime, MaxWait: c.MaxQueryTime, HoldTimeout: c.Performance.RPCHoldTimeout,
		Members: a.pool.Members, MembersChanged: p.changed, Logger: a.log.Named("server"),
		Raft: consensus.Config{
			Dir: a.dir.in("raft"), ID: raft.ServerID(a.nodeID), Address: address, Transport: transport,
			Bootstrap:  c.Bootstrap || c.DevMode || c.BootstrapExpect == 1,
			Multiplier: c.Performance.RaftMultiplier, SnapshotThreshold: uint64(c.Raft.SnapshotThreshold),
			SnapshotInterval: c.Raft.SnapshotInterval, TrailingLogs: uint64(c.Raft.TrailingLogs), Logger: a.log.Named("raft"),
		},
	})
	if err != nil {
		return nil, err
	}
	p.Server = server
	p.rpc = rpc.NewServer(rpc.ServerConfig{
		Handler: server.Handler(), Calls: server.Calls(), Leader: func() string { _, l := server.Consensus().Leader(); return string(l) },
		Register: []func(grpc.ServiceRegistrar){transport.Register}, Authorize: a.authorizeRPC,
		Limits:           rpcLimits(c),
		HandshakeTimeout: c.Limits.RPCHandshakeTimeout, Logger: a.log.Named("rpc"),
	})
	p.listener = a.sockets.rpc[0]
	return p, nil
}

func rpcLimits(c *config.Config) netlimit.Limits {
	return netlimit.Limits{PerIP: c.Limits.RPCMaxConnsPerClient}
}

// SetLimits implements plane.
func (p *serverPlane) SetLimits(c *config.Config) { p.rpc.SetLimits(rpcLimits(c)) }

// authorizeRPC decides who may call what on the RPC port, before a request is read. Raft's messages can depose a
// leader: they are taken from servers only, which without TLS are known by their addresses in the gossip pool.
func (a *Agent) authorizeRPC(c rpc.Caller) error {
	if c.Service != "Raft" {
		return nil
	}
	for _, m := range a.pool.Members() {
		s, ok := gossip.ServerOf(m)
		if !ok || s.ID == a.nodeID || m.Status != model.MemberAlive {
			continue
		}
		if host, _, err := net.SplitHostPort(c.Addr.String()); err == nil && host == s.Addr {
			return nil
		}
	}
	return fault.New(fault.Permission, "%s is no server of this cluster and may not speak Raft", c.Addr)
}

// Run implements plane.
func (p *serverPlane) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- p.rpc.Serve(p.listener) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	worked := make(chan error, 1)
	go func() { worked <- p.Server.Run(ctx) }()
	var err error
	select {
	case err = <-served:
		cancel()
		<-worked
	case err = <-worked:
	}
	p.rpc.Stop(drainWait)
	return err
}
