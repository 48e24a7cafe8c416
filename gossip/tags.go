package gossip

import (
	"net"
	"strconv"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/version"
)

// The values of the tag "role".
const (
	roleServer = "consul"
	roleClient = "node"
)

// ClientTags are the tags of a client agent, as recorded.
func ClientTags(dc string, id model.NodeID) map[string]string {
	return map[string]string{
		"role": roleClient, "dc": dc, "id": string(id), "segment": "",
		"build":   version.Compat + ":",
		"vsn":     strconv.Itoa(version.ProtocolDefault),
		"vsn_min": strconv.Itoa(version.ProtocolMin),
		"vsn_max": strconv.Itoa(version.ProtocolMax),
	}
}

// Server is what a server says of itself in its tags.
type Server struct {
	Name       model.NodeName
	ID         model.NodeID
	Datacenter string
	// Addr is the IP address that it advertises.
	Addr string
	// Port is its RPC port; 0 means none.
	Port int
	// GRPCPort, GRPCTLSPort and WANJoinPort are 0 where it has none.
	GRPCPort, GRPCTLSPort, WANJoinPort int
	// Expect is its bootstrap_expect, Bootstrap tells -bootstrap.
	Expect      int
	Bootstrap   bool
	ACLs        bool
	ReadReplica bool
	UseTLS      bool
	// Build is its version, "1.21.4:<revision>".
	Build string
	// Level is the newest kind of Raft command that it knows; see the cluster level in the state.
	Level int
	// Status is what the pool thinks of it; not a tag.
	Status model.MemberStatus
}

// RPCAddr is where its RPC is reached, "ip:port".
func (s *Server) RPCAddr() string { return net.JoinHostPort(s.Addr, strconv.Itoa(s.Port)) }

// tagLevel is the one tag that Consul's members do not have.
const tagLevel = "lictor_level"

// ServerTags are the tags of a server, in the form recorded. Name, Addr and Status are not tags.
func ServerTags(s Server) map[string]string {
	tags := ClientTags(s.Datacenter, s.ID)
	tags["role"] = roleServer
	tags["port"] = strconv.Itoa(s.Port)
	tags["raft_vsn"] = "3"
	tags["ft_fs"], tags["ft_si"] = "1", "1"
	tags["acls"] = "0"
	if s.ACLs {
		tags["acls"] = "1"
	}
	number := func(key string, n int) {
		if n > 0 {
			tags[key] = strconv.Itoa(n)
		}
	}
	number("grpc_port", s.GRPCPort)
	number("grpc_tls_port", s.GRPCTLSPort)
	number("wan_join_port", s.WANJoinPort)
	number("expect", s.Expect)
	number(tagLevel, s.Level)
	flag := func(key string, on bool) {
		if on {
			tags[key] = "1"
		}
	}
	flag("bootstrap", s.Bootstrap)
	flag("read_replica", s.ReadReplica)
	flag("nonvoter", s.ReadReplica)
	flag("use_tls", s.UseTLS)
	return tags
}

// ServerOf reads a member's tags; false when it is no server, or its tags cannot be read. In the WAN pool
// the name stays "<node>.<datacenter>".
func ServerOf(m model.Member) (Server, bool) {
	if m.Tags["role"] != roleServer {
		return Server{}, false
	}
	port, err := strconv.Atoi(m.Tags["port"])
	if err != nil || port < 1 || port > 65535 || m.Tags["dc"] == "" {
		return Server{}, false
	}
	number := func(key string) int {
		n, err := strconv.Atoi(m.Tags[key])
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	return Server{
		Name: m.Name, ID: model.NodeID(m.Tags["id"]), Datacenter: m.Tags["dc"], Addr: m.Addr, Port: port,
		GRPCPort: number("grpc_port"), GRPCTLSPort: number("grpc_tls_port"), WANJoinPort: number("wan_join_port"),
		Expect: number("expect"), Bootstrap: m.Tags["bootstrap"] == "1", ACLs: m.Tags["acls"] == "1",
		ReadReplica: m.Tags["read_replica"] == "1", UseTLS: m.Tags["use_tls"] == "1",
		Build: m.Tags["build"], Level: number(tagLevel), Status: m.Status,
	}, true
}
