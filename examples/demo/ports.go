package demo

import (
	"fmt"
	"net"
	"strings"

	"github.com/lictor-mesh/lictor/model/fault"
)

// use is what one port of a layout is for.
type use struct {
	port int
	what string
	// udp is set where the port is listened on over UDP too.
	udp bool
}

// uses lists every port that something will listen on. The WAN's gossip port is only announced.
func (l *Layout) uses() []use {
	list := []use{
		{l.HTTP, "the agent's HTTP API", false}, {l.GRPC, "the agent's xDS", false}, {l.DNS, "the agent's DNS", true},
		{l.Server, "the server's RPC", false}, {l.SerfLAN, "the agent's gossip", true},
		{l.WebToAPI, "web's upstream api", false}, {l.APIToDB, "api's upstream db", false},
	}
	for i, name := range instances {
		list = append(list, use{l.port(i), name, false}, use{l.Public[i], "the sidecar of " + name, false},
			use{l.Admin[i], "the admin address of the sidecar of " + name, false})
	}
	return list
}

// free returns an error of one line that names the ports of the layout on which another process listens.
func (l *Layout) free() error {
	var taken []string
	for _, u := range l.uses() {
		if !u.free() {
			taken = append(taken, loopback(u.port)+" ("+u.what+")")
		}
	}
	if len(taken) == 0 {
		return nil
	}
	if more := len(taken) - 3; more > 0 { // another demo, most likely: it stays one line
		taken = append(taken[:3], fmt.Sprintf("and %d more", more))
	}
	return fault.New(fault.Conflict, "in use by another process: %s", strings.Join(taken, ", ")).
		WithHint("stop that one, or take other ports with -free-ports")
}

func (u use) free() bool {
	l, err := net.Listen("tcp", loopback(u.port))
	if err != nil {
		return false
	}
	_ = l.Close()
	if !u.udp {
		return true
	}
	p, err := net.ListenPacket("udp", loopback(u.port))
	if err != nil {
		return false
	}
	_ = p.Close()
	return true
}
