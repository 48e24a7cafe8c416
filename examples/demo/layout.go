package demo

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Layout says where everything listens, all on loopback.
type Layout struct {
	HTTP, GRPC, DNS, Server, SerfLAN, SerfWAN int
	Web, API, DB1, DB2                        int
	// WebToAPI and APIToDB are the upstream listeners that the applications dial.
	WebToAPI, APIToDB int
	// The sidecars' public ports and admin ports, in the order of instances.
	Public, Admin [4]int
}

// instances are the service instances of the mesh, in the order in which they are started.
var instances = [4]string{db1At: "db-1", db2At: "db-2", apiAt: "api", webAt: "web"}

// The positions in instances.
const (
	db1At = iota
	db2At
	apiAt
	webAt
)

// StandardLayout has the agent on the ports that clients expect.
func StandardLayout() Layout {
	return Layout{
		HTTP: 8500, GRPC: 8502, DNS: 8600, Server: 8300, SerfLAN: 8301, SerfWAN: 8302,
		Web: 9001, API: 9002, DB1: 9003, DB2: 9004, WebToAPI: 9102, APIToDB: 9103,
		Public: [4]int{21003, 21004, 21002, 21001}, Admin: [4]int{19003, 19004, 19002, 19001},
	}
}

// FreeLayout has ports that nobody uses now, below those that the system gives to clients.
func FreeLayout() (Layout, error) {
	var ports [20]int
	for i := range ports {
		p, err := freePort(ports[:i])
		if err != nil {
			return Layout{}, err
		}
		ports[i] = p
	}
	return Layout{
		HTTP: ports[0], GRPC: ports[1], DNS: ports[2], Server: ports[3], SerfLAN: ports[4], SerfWAN: ports[5],
		Web: ports[6], API: ports[7], DB1: ports[8], DB2: ports[9], WebToAPI: ports[10], APIToDB: ports[11],
		Public: [4]int(ports[12:16]), Admin: [4]int(ports[16:20]),
	}, nil
}

func freePort(taken []int) (int, error) {
next:
	for range 1000 {
		p := 10000 + rand.IntN(22000)
		for _, t := range taken {
			if t == p {
				continue next
			}
		}
		l, err := net.Listen("tcp", loopback(p))
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", loopback(p))
		_ = l.Close()
		if err != nil {
			continue
		}
		_ = u.Close()
		return p, nil
	}
	return 0, fmt.Errorf("no free port found on loopback")
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// port is where an instance's application listens.
func (l *Layout) port(instance int) int {
	return [4]int{db1At: l.DB1, db2At: l.DB2, apiAt: l.API, webAt: l.Web}[instance]
}

// agentConfig is the agent's configuration file. leafTTL is for steps that want to see rotations, "" for what
// is usual.
func (l *Layout) agentConfig(dataDir, leafTTL string) string {
	short := ""
	if leafTTL != "" {
		short = fmt.Sprintf("lictor { leaf_cert_ttl_override = %q }\n", leafTTL)
	}
	return fmt.Sprintf(`# One agent that is also the server, on loopback.
node_name        = "demo"
server           = true
bootstrap_expect = 1
data_dir         = %q
bind_addr        = "127.0.0.1"
client_addr      = "127.0.0.1"
telemetry { prometheus_retention_time = "60s" }
limits { http_max_conns_per_client = 1000 }
%sports {
  http     = %d
  grpc     = %d
  grpc_tls = -1
  dns      = %d
  server   = %d
  serf_lan = %d
  serf_wan = %d
}
`, dataDir, short, l.HTTP, l.GRPC, l.DNS, l.Server, l.SerfLAN, l.SerfWAN)
}
