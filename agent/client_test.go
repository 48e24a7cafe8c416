package agent_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lictor-mesh/lictor/internal/testagent"
)

// pair starts a server and a client agent that joins it.
func pair(t *testing.T) (server, client *testagent.Agent) {
	t.Helper()
	server = testagent.Start(t, testagent.Load(t, `node_name = "server"
bind_addr = "127.0.0.1"
`, true).WithEphemeralPorts())
	c := testagent.Load(t, fmt.Sprintf(`node_name = "client"
bind_addr = "127.0.0.1"
data_dir = %q
retry_join = ["127.0.0.1:%d"]
`, t.TempDir(), server.SerfPort()), false).WithEphemeralPorts()
	return server, testagent.Start(t, c)
}

func TestClientAgentRegistersThroughItsServer(t *testing.T) {
	server, client := pair(t)
	err := client.Client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web", Port: 8080,
		Check: &api.AgentServiceCheck{TTL: "1h", Status: "passing"}, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]*testagent.Agent{"server": server, "client": client} {
		testagent.Until(t, "web is discovered at the "+name, func() bool {
			list, _, err := a.Client.Health().Service("web", "", true, nil)
			return err == nil && len(list) == 1 && list[0].Node.Node == "client"
		})
	}
	leaf, _, err := client.Client.Agent().ConnectCALeaf("web", nil)
	if err != nil || leaf.PrivateKeyPEM == "" {
		t.Fatalf("leaf %v, %v", leaf, err)
	}
	members, err := client.Client.Agent().Members(false)
	if err != nil || len(members) != 2 {
		t.Errorf("members %v, %v", members, err)
	}
}

func TestBlockingReadOnAClientIsFedByTheStream(t *testing.T) {
	server, client := pair(t)
	register := func(port int) {
		t.Helper()
		_, err := server.Client.Catalog().Register(&api.CatalogRegistration{Node: "ext", Address: "10.0.0.9",
			Service: &api.AgentService{Service: "db", Port: port}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	register(1)
	list, meta, err := client.Client.Health().Service("db", "", false, nil)
	if err != nil || len(list) != 1 || list[0].Service.Port != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	type answer struct {
		list []*api.ServiceEntry
		err  error
	}
	woken := make(chan answer, 1)
	go func() {
		list, _, err := client.Client.Health().Service("db", "", false, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		woken <- answer{list, err}
	}()
	register(2)
	select {
	case a := <-woken:
		if a.err != nil || len(a.list) != 1 || a.list[0].Service.Port != 2 {
			t.Errorf("%v, %v", a.list, a.err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the poll was not woken")
	}
}

func TestClientGoesOnWhileItsServerIsAway(t *testing.T) {
	server, client := pair(t)
	err := client.Client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web", Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	warm := func() bool {
		list, meta, err := client.Client.Health().Service("web", "", false, &api.QueryOptions{UseCache: true})
		return err == nil && len(list) == 1 && meta.LastIndex > 0
	}
	testagent.Until(t, "the view of web is warm", warm)
	if _, _, err := client.Client.Agent().ConnectCALeaf("web", nil); err != nil {
		t.Fatal(err)
	}
	server.Stop(t)
	if !warm() {
		t.Error("with the server away the agent does not answer from its last state")
	}
	if _, _, err := client.Client.Agent().ConnectCALeaf("web", nil); err != nil {
		t.Errorf("the leaf that it has: %v", err)
	}
	if _, _, err := client.Client.Catalog().Nodes(nil); err == nil {
		t.Error("a plain read was answered without a server")
	}
}

func TestRootsAndStaleReadsOutliveTheServer(t *testing.T) {
	server, client := pair(t)
	testagent.Until(t, "the client holds the roots", func() bool {
		_, _, err := client.Client.Agent().ConnectCARoots(nil)
		return err == nil
	})
	if err := client.Client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web", Port: 8080}); err != nil {
		t.Fatal(err)
	}
	testagent.Until(t, "the view of web is warm", func() bool {
		list, _, err := client.Client.Health().Service("web", "", false, &api.QueryOptions{UseCache: true})
		return err == nil && len(list) == 1
	})
	server.Stop(t)
	if _, _, err := client.Client.Agent().ConnectCARoots(nil); err != nil {
		t.Errorf("roots with the server away: %v", err)
	}
	list, _, err := client.Client.Health().Service("web", "", false, &api.QueryOptions{AllowStale: true})
	if err != nil || len(list) != 1 {
		t.Errorf("a stale read with the server away: %v, %v", list, err)
	}
}
