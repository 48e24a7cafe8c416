package agent

import (
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/controlplane"
	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/model/fault"
)

// newServerPlane opens this agent's own server.
func (a *Agent) newServerPlane(c *config.Config) (plane, error) {
	address := raft.ServerAddress(fmt.Sprintf("%s:%d", c.AdvertiseAddr, a.sockets.rpcPort(c)))
	_, transport := raft.NewInmemTransport(address)
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
	p.Server, p.run = server, server.Run
	return p, nil
}

// newRemotePlane opens the way to the servers.
func (a *Agent) newRemotePlane(*config.Config) (plane, error) {
	return nil, fault.New(fault.Disabled, "client agents are not built yet")
}
