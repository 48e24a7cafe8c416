package agent_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lictor-mesh/lictor/agent"
	"github.com/lictor-mesh/lictor/internal/testagent"
)

const server = `node_name = "n1"
bind_addr = "127.0.0.1"
`

func TestRegisteredServiceIsDiscoveredAndSurvivesARestart(t *testing.T) {
	durable := server + `server = true
bootstrap = true
data_dir = "` + t.TempDir() + `"
`
	c := testagent.Load(t, durable, false).WithEphemeralPorts()
	a := testagent.Start(t, c)
	err := a.Client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web", Port: 8080,
		Check: &api.AgentServiceCheck{TTL: "1h", Status: "passing"}, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{}}})
	if err != nil {
		t.Fatal(err)
	}
	healthy := func(a *testagent.Agent) func() bool {
		return func() bool {
			list, _, err := a.Client.Health().Service("web", "", true, nil)
			return err == nil && len(list) == 1 && list[0].Service.Port == 8080
		}
	}
	testagent.Until(t, "web is discovered", healthy(a))
	list, _, err := a.Client.Health().Connect("web", "", false, nil)
	if err != nil || len(list) != 1 || list[0].Service.Kind != api.ServiceKindConnectProxy {
		t.Fatalf("mesh instances of web: %v, %v", list, err)
	}
	leaf, _, err := a.Client.Agent().ConnectCALeaf("web", nil)
	if err != nil || !strings.HasSuffix(leaf.ServiceURI, "/ns/default/dc/dc1/svc/web") {
		t.Fatalf("leaf %+v, %v", leaf, err)
	}
	a.Stop(t)
	a = testagent.Start(t, c.WithEphemeralPorts())
	testagent.Until(t, "web is discovered after a restart", healthy(a))
}

func TestDataDirHasOneOwner(t *testing.T) {
	c := testagent.Load(t, server+`server = true
bootstrap = true
data_dir = "`+t.TempDir()+`"
`, false).WithEphemeralPorts()
	testagent.Start(t, c)
	_, err := agent.New(c.WithEphemeralPorts(), agent.Options{Logger: testagent.Logger(t)})
	if err == nil || !strings.Contains(err.Error(), "in use by another agent") || !strings.Contains(err.Error(), c.DataDir) {
		t.Errorf("error = %v", err)
	}
}

func TestPortInUseIsNamedWithItsOption(t *testing.T) {
	a := testagent.Start(t, testagent.Load(t, server, true).WithEphemeralPorts())
	c := testagent.Load(t, server, true).WithEphemeralPorts()
	c.HTTPAddrs[0].Address = a.HTTP
	_, err := agent.New(c, agent.Options{Logger: testagent.Logger(t)})
	if err == nil || !strings.Contains(err.Error(), a.HTTP) || !strings.Contains(err.Error(), "-http-port") {
		t.Errorf("error = %v", err)
	}
}
