package controlplane

import (
	"maps"
	"net/netip"
	"strconv"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
)

// serverService is the built-in service that the servers make up.
const serverService = "consul"

// The outputs of a member's check, as recorded.
const (
	outputAlive  = "Agent alive and reachable"
	outputFailed = "Agent not live or unreachable"
)

// memberChanges returns the commands that bring the catalog in line with the gossip pool: a node, a check and,
// for servers, the built-in service for who is alive; a critical check for who failed; nothing left of who left.
func memberChanges(members []model.Member, snap *state.Snapshot) []command.Command {
	var changes []command.Command
	for i := range members {
		m := &members[i]
		switch m.Status {
		case model.MemberAlive:
			if r := aliveRegistration(m, snap); r != nil {
				changes = append(changes, &command.Register{Registration: *r})
			}
		case model.MemberFailed:
			if r := failedRegistration(m, snap); r != nil {
				changes = append(changes, &command.Register{Registration: *r})
			}
		case model.MemberLeft:
			if n := snap.Node(m.Name); n != nil && ownedBy(n, m) {
				changes = append(changes, &command.Deregister{Deregistration: model.Deregistration{Node: m.Name}})
			}
		}
	}
	return changes
}

// ownedBy tells whether the node's record is the member's: another identity may have taken its name.
func ownedBy(n *model.Node, m *model.Member) bool {
	return n.ID == "" || model.Fold(n.ID) == model.Fold(m.Tags["id"])
}

func serfHealth(status model.Status, output string) *model.Check {
	return &model.Check{CheckID: model.SerfHealth, Name: "Serf Health Status", Status: status, Output: output}
}

// aliveRegistration returns what to write for an alive member, nil when the catalog has it all.
func aliveRegistration(m *model.Member, snap *state.Snapshot) *model.Registration {
	r := &model.Registration{
		Node:   model.Node{ID: model.NodeID(m.Tags["id"]), Node: m.Name, Address: m.Addr, Datacenter: m.Tags["dc"]},
		Checks: []*model.Check{serfHealth(model.StatusPassing, outputAlive)},
	}
	if m.Tags["role"] == "consul" {
		r.Service = builtin(m)
	}
	old := snap.Node(m.Name)
	if old == nil {
		r.Node.TaggedAddresses = lanAddresses(m.Addr)
		r.Node.Meta = map[string]string{"consul-network-segment": "", "consul-version": version(m)}
		return r
	}
	// The agent itself keeps its meta and tagged addresses.
	r.Node.TaggedAddresses, r.Node.Meta, r.Node.Locality = old.TaggedAddresses, old.Meta, old.Locality
	same := old.Address == m.Addr && ownedBy(old, m) && old.ID != ""
	r.SkipNodeUpdate = same
	if same && hasCheck(snap, m.Name, r.Checks[0]) && hasService(snap, m.Name, r.Service) {
		return nil
	}
	return r
}

func failedRegistration(m *model.Member, snap *state.Snapshot) *model.Registration {
	n := snap.Node(m.Name)
	check := serfHealth(model.StatusCritical, outputFailed)
	if n == nil || !ownedBy(n, m) || hasCheck(snap, m.Name, check) {
		return nil
	}
	return &model.Registration{Node: *n, SkipNodeUpdate: true, Checks: []*model.Check{check}}
}

func hasCheck(snap *state.Snapshot, n model.NodeName, c *model.Check) bool {
	old := snap.Check(n, c.CheckID)
	return old != nil && old.Status == c.Status && old.Output == c.Output
}

func hasService(snap *state.Snapshot, n model.NodeName, s *model.Service) bool {
	if s == nil {
		return true
	}
	old := snap.Service(n, s.ID)
	return old != nil && old.Port == s.Port && maps.Equal(old.Meta, s.Meta)
}

// builtin is the service record of a server.
func builtin(m *model.Member) *model.Service {
	port, _ := strconv.Atoi(m.Tags["port"])
	s := &model.Service{
		ID: serverService, Service: serverService, Port: port, Weights: model.Weights{Passing: 1, Warning: 1},
		Meta: map[string]string{
			"version": version(m), "raft_version": m.Tags["raft_vsn"], "non_voter": "false", "read_replica": "false",
			"serf_protocol_current": strconv.Itoa(int(m.ProtocolCur)),
			"serf_protocol_min":     strconv.Itoa(int(m.ProtocolMin)),
			"serf_protocol_max":     strconv.Itoa(int(m.ProtocolMax)),
		},
	}
	for _, k := range []string{"grpc_port", "grpc_tls_port"} {
		if v := m.Tags[k]; v != "" {
			s.Meta[k] = v
		}
	}
	return s
}

// version is the compatible version in a member's build tag, which reads "1.21.4:revision".
func version(m *model.Member) string {
	build := m.Tags["build"]
	for i := range build {
		if build[i] == ':' {
			return build[:i]
		}
	}
	return build
}

// lanAddresses are the tagged addresses of a node that has said nothing about itself yet.
func lanAddresses(addr string) map[string]string {
	tagged := map[string]string{"lan": addr, "wan": addr}
	if ip, err := netip.ParseAddr(addr); err == nil {
		family := "_ipv6"
		if ip.Unmap().Is4() {
			family = "_ipv4"
		}
		tagged["lan"+family], tagged["wan"+family] = addr, addr
	}
	return tagged
}
