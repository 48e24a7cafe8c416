package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lictor-mesh/lictor/examples/app"
)

// Options say how a mesh is run.
type Options struct {
	// Binary is this program.
	Binary string
	// Env is added to the children's environment.
	Env []string
	// Dir keeps the agent's data and the logs; empty is a temporary directory that Stop removes.
	Dir    string
	Layout Layout
	// LeafTTL makes certificates live shorter than usual ("20s"), so that they are seen to rotate.
	LeafTTL string
}

// Mesh is the running demo.
type Mesh struct {
	binary    string
	extraEnv  []string
	dir       string
	temporary bool
	layout    Layout
	client    *api.Client
	http      *http.Client

	// deaths brings the children that ended unasked.
	deaths chan *process

	mu        sync.Mutex
	processes map[string]*process
}

// The time for something that should be immediate, before it counts as broken.
const patience = 20 * time.Second

// checkInterval is that of the applications' own checks.
const checkInterval = time.Second

// errInterrupted is what a mesh says that was asked to end before it was done.
var errInterrupted = errors.New("interrupted")

// Start starts all processes, and returns when web is answered by db. With an error everything is stopped: one
// line where a port is taken or a child has ended.
func Start(ctx context.Context, o Options, say func(format string, args ...any)) (*Mesh, error) {
	if err := o.Layout.free(); err != nil {
		return nil, err
	}
	// More deaths than children nobody waits for.
	m := &Mesh{binary: o.Binary, extraEnv: o.Env, dir: o.Dir, layout: o.Layout, processes: map[string]*process{}, deaths: make(chan *process, 64),
		http: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	if m.dir == "" {
		dir, err := os.MkdirTemp("", "lictor-demo-")
		if err != nil {
			return nil, err
		}
		m.dir, m.temporary = dir, true
	}
	var err error
	if m.client, err = api.NewClient(&api.Config{Address: loopback(m.layout.HTTP)}); err != nil {
		return nil, err
	}
	if err = m.startAll(ctx, o.LeafTTL, say); err != nil {
		err = m.failure(ctx, err)
		m.Stop()
		return nil, err
	}
	return m, nil
}

func (m *Mesh) startAll(ctx context.Context, leafTTL string, say func(string, ...any)) error {
	if err := os.MkdirAll(filepath.Join(m.dir, "logs"), 0o700); err != nil {
		return err
	}
	if err := m.StartAgent(ctx, leafTTL); err != nil {
		return err
	}
	say("agent: http://%s, DNS %s", loopback(m.layout.HTTP), loopback(m.layout.DNS))
	for i := range instances {
		if err := m.startApp(i); err != nil {
			return err
		}
		if err := m.register(i); err != nil {
			return fmt.Errorf("registering %s: %w", instances[i], err)
		}
		if err := m.startSidecar(i); err != nil {
			return err
		}
		say("%-5s on %s, its sidecar on %s", instances[i], loopback(m.layout.port(i)), loopback(m.layout.Public[i]))
	}
	return m.until(ctx, "web answers through the mesh", func() error {
		_, err := m.ask(ctx, "")
		return err
	})
}

// StartAgent starts the agent and waits for a leader.
func (m *Mesh) StartAgent(ctx context.Context, leafTTL string) error {
	file := filepath.Join(m.dir, "agent.hcl")
	if err := os.WriteFile(file, []byte(m.layout.agentConfig(filepath.Join(m.dir, "data"), leafTTL)), 0o600); err != nil {
		return err
	}
	if _, err := m.start("agent", "agent", "-config-file", file); err != nil {
		return err
	}
	return m.until(ctx, "the agent has a leader", func() error {
		leader, err := m.client.Status().Leader()
		if err == nil && leader == "" {
			err = errors.New("no leader yet")
		}
		return err
	})
}

func (m *Mesh) startApp(i int) error {
	name := instances[i]
	kind := strings.TrimRight(name, "-12")
	args := []string{"demo", "service", "-listen", loopback(m.layout.port(i)), "-name", name}
	switch kind {
	case "web":
		args = append(args, "-upstream", loopback(m.layout.WebToAPI))
	case "api":
		args = append(args, "-upstream", loopback(m.layout.APIToDB))
	}
	_, err := m.start("app-"+name, append(args, kind)...)
	return err
}

func (m *Mesh) startSidecar(i int) error {
	_, err := m.start("sidecar-"+instances[i], "connect", "proxy", "-sidecar-for", instances[i],
		"-admin-addr", loopback(m.layout.Admin[i]), "-http-addr", loopback(m.layout.HTTP))
	return err
}

// register tells the agent of an instance and of the sidecar it wants.
func (m *Mesh) register(i int) error {
	name := instances[i]
	service := strings.TrimRight(name, "-12")
	interval := checkInterval.String()
	check := &api.AgentServiceCheck{HTTP: "http://" + loopback(m.layout.port(i)) + "/health", Interval: interval, Timeout: "1s"}
	var upstreams []api.Upstream
	switch service {
	case "web":
		upstreams = []api.Upstream{{DestinationName: "api", LocalBindPort: m.layout.WebToAPI}}
	case "api":
		upstreams = []api.Upstream{{DestinationName: "db", LocalBindPort: m.layout.APIToDB}}
	default:
		check = &api.AgentServiceCheck{TCP: loopback(m.layout.port(i)), Interval: interval, Timeout: "1s"}
	}
	return m.client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: name, Name: service, Port: m.layout.port(i), Address: "127.0.0.1", Check: check,
		Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{
			Port:  m.layout.Public[i],
			Proxy: &api.AgentServiceConnectProxyConfig{Upstreams: upstreams},
			Checks: api.AgentServiceChecks{
				{Name: "Sidecar listening", TCP: loopback(m.layout.Public[i]), Interval: interval, Timeout: "1s"},
				{Name: "Sidecar aliasing " + name, AliasService: name},
			},
		}},
	})
}

// webURL is the address of web with a query, which may be empty.
func (m *Mesh) webURL(query string) string {
	u := url.URL{Scheme: "http", Host: loopback(m.layout.Web), Path: "/", RawQuery: query}
	return u.String()
}

// ask sends one request to web and returns its answer. query is added to the URL.
func (m *Mesh) ask(ctx context.Context, query string) (*app.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.webURL(query), nil)
	if err != nil {
		return nil, err
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := new(app.Answer)
	if err := json.NewDecoder(resp.Body).Decode(a); err != nil {
		return nil, fmt.Errorf("web's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("web answered %s: %s", resp.Status, a.Error)
	}
	return a, nil
}

// fatal is an error for which waiting longer is no use.
type fatal struct{ error }

// until waits until try succeeds, for patience at the most, and while no child ends unasked.
func (m *Mesh) until(ctx context.Context, what string, try func() error) error {
	return within(ctx, patience, what, func() error {
		if p := m.dead(); p != nil {
			return fatal{fmt.Errorf("%s %s", p.name, p.how())}
		}
		return try()
	})
}

// dead returns a child that has ended unasked, the agent first, or nil.
func (m *Mesh) dead() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.processes)) {
		if p := m.processes[name]; p.lost() {
			return p
		}
	}
	return nil
}

func within(ctx context.Context, limit time.Duration, what string, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		var f fatal
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &f):
			return fmt.Errorf("%s: %w", what, err)
		case time.Now().After(deadline):
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// failure is what is said of an error: nothing more when ctx has ended, the child that ended unasked where there is
// one, and else the error with the ends of all logs.
func (m *Mesh) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	if p := m.dead(); p != nil {
		return fmt.Errorf("%s %s: %s", p.name, p.how(), p.lastLine())
	}
	return m.withLogs(err)
}

// withLogs adds the ends of the children's logs to an error.
func (m *Mesh) withLogs(err error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, p := range m.processes {
		content, readErr := os.ReadFile(p.log)
		if readErr != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return errors.New(b.String())
}
