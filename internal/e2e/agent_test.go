//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// agent is a server agent on loopback, its configuration file, and the process that runs it.
type agent struct {
	*process
	file, dataDir string
	ports         map[string]int
	extra         string
	run           spawn
	*api.Client
}

// newAgent writes the configuration of a server with a durable data directory; extra is HCL that is added to it.
func newAgent(t testing.TB, extra string) *agent {
	t.Helper()
	dir := openDir(t)
	a := &agent{file: filepath.Join(dir, "agent.hcl"), dataDir: filepath.Join(dir, "data"), ports: map[string]int{}, extra: extra}
	for _, name := range []string{"http", "grpc", "dns", "server", "serf_lan", "serf_wan"} {
		a.ports[name] = freePort(t)
	}
	a.write(t)
	var err error
	if a.Client, err = api.NewClient(&api.Config{Address: a.at("http")}); err != nil {
		t.Fatal(err)
	}
	return a
}

// startAgent starts such a server, and waits until it leads.
func startAgent(t testing.TB, extra string) *agent {
	t.Helper()
	a := newAgent(t, extra)
	a.start(t)
	return a
}

// write writes the configuration file anew.
func (a *agent) write(t testing.TB) {
	t.Helper()
	var ports strings.Builder
	for name, port := range a.ports {
		fmt.Fprintf(&ports, "  %s = %d\n", name, port)
	}
	text := fmt.Sprintf("node_name = \"host\"\nserver = true\nbootstrap_expect = 1\ndata_dir = %q\nbind_addr = \"127.0.0.1\"\n"+
		"ports {\n  grpc_tls = -1\n%s}\n%s\n", a.dataDir, ports.String(), a.extra)
	if err := os.WriteFile(a.file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (a *agent) at(listener string) string { return loopback(a.ports[listener]) }

// launch starts the process without waiting for anything.
func (a *agent) launch(t testing.TB, args ...string) {
	t.Helper()
	a.process = a.run.start(t, append([]string{"agent", "-config-file", a.file}, args...)...)
}

// start starts the process and waits until it leads.
func (a *agent) start(t testing.TB, args ...string) {
	t.Helper()
	a.launch(t, args...)
	eventually(t, "a leader", a.leads)
}

func (a *agent) leads() error {
	if err := a.alive(); err != nil {
		return err
	}
	leader, err := a.Status().Leader()
	if err == nil && leader == "" {
		err = errors.New("no leader yet")
	}
	return err
}

// lictor runs a command against this agent.
func (a *agent) lictor() spawn { return spawn{env: []string{"LICTOR_HTTP_ADDR=" + a.at("http")}} }

// register registers a service with the agent and waits until the catalog has it.
func (a *agent) register(t testing.TB, s *api.AgentServiceRegistration) {
	t.Helper()
	if err := a.Agent().ServiceRegister(s); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.Name+" in the catalog", func() error { return a.inCatalog(s.Name) })
}

func (a *agent) inCatalog(service string) error {
	list, _, err := a.Catalog().Service(service, "", nil)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("the catalog has no %s", service)
	}
	return err
}
