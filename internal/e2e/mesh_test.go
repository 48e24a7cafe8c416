//go:build unix

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// echo serves lines back until the test ends, each with a prefix, and returns its port.
func echo(t testing.TB, prefix string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for in := bufio.NewScanner(c); in.Scan(); {
					if _, err := fmt.Fprintf(c, "%s %s\n", prefix, in.Text()); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// ask sends one line over a new connection to address, and fails unless it comes back with the prefix.
func ask(address, prefix string) error {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return askOn(c, prefix)
}

func askOn(c net.Conn, prefix string) error {
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != prefix+" hello\n" {
		err = fmt.Errorf("the answer is %q", line)
	}
	return err
}

// sidecar is a running sidecar.
type sidecar struct {
	*process
	service string
	admin   int
}

// startSidecar starts the sidecar of a service; extra stands behind its flags, as "--" and a command.
func startSidecar(t testing.TB, a *agent, service string, extra ...string) *sidecar {
	t.Helper()
	s := &sidecar{service: service, admin: freePort(t)}
	args := []string{"connect", "proxy", "-sidecar-for", service, "-admin-addr", loopback(s.admin), "-http-addr", a.at("http"), "-drain-timeout", "2s"}
	s.process = spawn{}.start(t, append(args, extra...)...)
	return s
}

// get reads a page of the admin address.
func (s *sidecar) get(path string) (status int, body string, err error) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + loopback(s.admin) + path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// ready is nil once /ready says so.
func (s *sidecar) ready() error {
	if err := s.alive(); err != nil {
		return err
	}
	status, body, err := s.get("/ready")
	if err == nil && status != http.StatusOK {
		err = errors.New(strings.TrimSpace(body))
	}
	return err
}

// mesh is web, whose upstream is db, with their sidecars on one agent.
type mesh struct {
	*agent
	web, db                            *sidecar
	webPublic, dbPublic, upstream, app int
}

// register tells the agent of web and db, which answers with its name.
func (m *mesh) registerBoth(t testing.TB) {
	t.Helper()
	m.registerDB(t)
	m.registerWeb(t)
}

func (m *mesh) registerDB(t testing.TB) {
	t.Helper()
	m.registerService(t, &api.AgentServiceRegistration{Name: "db", Port: m.app, Address: "127.0.0.1",
		Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Port: m.dbPublic, Checks: quickCheck(m.dbPublic)}}})
}

func (m *mesh) registerWeb(t testing.TB) {
	t.Helper()
	m.registerService(t, &api.AgentServiceRegistration{Name: "web", Port: 1, Address: "127.0.0.1",
		Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Port: m.webPublic, Checks: quickCheck(m.webPublic),
			Proxy: &api.AgentServiceConnectProxyConfig{Upstreams: []api.Upstream{{DestinationName: "db", LocalBindPort: m.upstream}}}}}})
}

func (m *mesh) registerService(t testing.TB, s *api.AgentServiceRegistration) {
	t.Helper()
	if err := m.Agent().ServiceRegister(s); err != nil {
		t.Fatal(err)
	}
}

func quickCheck(port int) api.AgentServiceChecks {
	return api.AgentServiceChecks{{Name: "listening", TCP: loopback(port), Interval: "100ms", Timeout: "1s"}}
}

// layMesh reserves the ports of a mesh whose agent is not started.
func layMesh(t testing.TB, extra string) *mesh {
	t.Helper()
	return &mesh{agent: newAgent(t, extra), webPublic: freePort(t), dbPublic: freePort(t), upstream: freePort(t), app: echo(t, "db")}
}

// startMesh starts all of a mesh, and returns when web reaches db.
func startMesh(t testing.TB, extra string) *mesh {
	t.Helper()
	m := layMesh(t, extra)
	m.start(t)
	m.registerBoth(t)
	m.db, m.web = startSidecar(t, m.agent, "db"), startSidecar(t, m.agent, "web")
	eventually(t, "web reaches db", m.asks)
	return m
}

// asks is nil when web reaches db through both sidecars.
func (m *mesh) asks() error {
	if err := errors.Join(m.db.alive(), m.web.alive()); err != nil {
		return hopeless{err}
	}
	return ask(loopback(m.upstream), "db")
}
