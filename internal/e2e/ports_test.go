//go:build unix

package e2e

import (
	"net"
	"strconv"
	"testing"
)

func TestPortInUseNamesListenerAndFix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		port, network string
		want          []string
	}{
		{"http", "tcp", []string{"HTTP", "in use", "ports.http"}},
		{"grpc", "tcp", []string{"gRPC", "in use", "ports.grpc"}},
		{"dns", "tcp", []string{"DNS", "in use", "ports.dns"}},
		{"dns", "udp", []string{"DNS", "in use", "ports.dns"}},
		{"server", "tcp", []string{"RPC", "in use", "ports.server"}},
		{"serf_lan", "tcp", []string{"gossip", "in use", "ports.serf_lan"}},
		{"serf_lan", "udp", []string{"gossip", "in use", "ports.serf_lan"}},
	} {
		t.Run(c.port+" "+c.network, func(t *testing.T) {
			t.Parallel()
			a := newAgent(t, "")
			release := occupy(t, c.network, a.at(c.port))
			a.launch(t)
			if code := a.exit(t); code != 1 {
				t.Errorf("exit code %d", code)
			}
			oneLine(t, a.stderr.String(), append(c.want, strconv.Itoa(a.ports[c.port]))...)
			release()
			a.start(t)
		})
	}
}

// occupy binds an address until release is called.
func occupy(t *testing.T, network, address string) (release func()) {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = c.Close() }
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = l.Close() }
}
