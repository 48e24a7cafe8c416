// Package testagent starts real agents in the process of a test, on ports of their own, from the text of a
// configuration.
package testagent

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent"
	"github.com/lictor-mesh/lictor/agent/config"
)

// Agent is a running agent.
type Agent struct {
	*agent.Agent
	Config *config.Config
	// HTTP and GRPC are where it answers, as host:port.
	HTTP, GRPC string
	// Client is Consul's own client for it.
	Client *api.Client
	stop   func() error
}

// nothing is a host whose answers do not matter, and a file system without files.
type nothing struct{}

func (nothing) Hostname() (string, error)             { return "test", nil }
func (nothing) PrivateIPv4() ([]netip.Addr, error)    { return nil, nil }
func (nothing) PublicIPv6() ([]netip.Addr, error)     { return nil, nil }
func (nothing) Expand(s string) (string, error)       { return s, nil }
func (nothing) ReadFile(string) ([]byte, error)       { return nil, fs.ErrNotExist }
func (nothing) ReadDir(string) ([]fs.DirEntry, error) { return nil, fs.ErrNotExist }

// Load reads a configuration text; dev adds the overlay of -dev.
func Load(t testing.TB, hcl string, dev bool) *config.Config {
	t.Helper()
	flags := &config.Flags{Dev: dev, Fragments: []string{hcl}}
	c, _, err := config.Load(config.Sources{Flags: flags, Env: func(string) string { return "" }, Files: nothing{}, Host: nothing{}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Start runs an agent until the test ends, and waits until it has a leader and knows itself.
func Start(t testing.TB, c *config.Config) *Agent {
	t.Helper()
	a, err := agent.New(c, agent.Options{Logger: Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	running := &Agent{Agent: a, Config: c, HTTP: a.HTTPAddr().String(), GRPC: a.GRPCAddr().String()}
	ended := false
	running.stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := running.stop(); err != nil {
			t.Error(err)
		}
	})
	if running.Client, err = api.NewClient(&api.Config{Address: running.HTTP}); err != nil {
		t.Fatal(err)
	}
	running.awaitReady(t)
	return running
}

// Stop ends the agent before the test does.
func (a *Agent) Stop(t testing.TB) {
	t.Helper()
	if err := a.stop(); err != nil {
		t.Error(err)
	}
}

func (a *Agent) awaitReady(t testing.TB) {
	t.Helper()
	Until(t, "the agent knows itself", func() bool {
		n, _, err := a.Client.Catalog().Node(string(a.Config.NodeName), nil)
		if err != nil || n == nil || n.Node.Meta["consul-version"] == "" {
			return false
		}
		if a.Config.Server && n.Services["consul"] == nil {
			return false
		}
		if !a.Config.Connect.Enabled {
			return true
		}
		_, _, err = a.Client.Agent().ConnectCARoots(nil)
		return err == nil
	})
}

// Until polls until ok, for 20 s at the most.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// FreePort returns a TCP port that nobody uses now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// Logger is silent, unless LICTOR_TEST_LOG names a level.
func Logger(t testing.TB) hclog.Logger {
	level := os.Getenv("LICTOR_TEST_LOG")
	if level == "" {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Name: t.Name(), Level: hclog.LevelFromString(level), Output: os.Stderr})
}
