//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
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
			for !isFree(a.ports[c.port]) { // somebody else on this machine was faster
				a.ports[c.port] = freePort(t)
			}
			a.write(t)
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

// TestUnixSocketOfAnotherIsLeftAlone holds that a socket which answers, or a file, is not taken away, and that one which
// a killed agent left is.
func TestUnixSocketOfAnotherIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "http.sock")
	config := fmt.Sprintf("addresses { http = \"127.0.0.1 unix://%s\" }", path)
	first := startAgent(t, config)
	second := newAgent(t, config)
	second.refuses(t, "a socket in use", path, "in use", "addresses.http")
	if stdout, stderr, code := (spawn{}).run(t, "members", "-http-addr=unix://"+path); code != 0 {
		t.Errorf("the first agent's socket: exit code %d: %s%s", code, stdout, stderr)
	}
	first.kill()
	second.start(t)
	second.kill()
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	second.refuses(t, "a file in the way", path, "file", "addresses.http")
	if content, err := os.ReadFile(path); err != nil || string(content) != "mine" {
		t.Errorf("the file was touched: %q, %v", content, err)
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
