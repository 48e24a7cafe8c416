package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// server is a program that answers the HTTP API.
type server struct {
	name      string
	http, dns string
	process   *process
	// startAgain starts it on the same data after its process has ended.
	startAgain func() error
}

// serverKind can start one kind of server.
type serverKind struct {
	name  string
	start func(ctx context.Context, r *rig, dir string) (*server, error)
}

// serverKinds are the programs that speak the whole API.
func serverKinds(r *rig) []serverKind {
	list := []serverKind{{lictorName, func(_ context.Context, r *rig, dir string) (*server, error) {
		return startServer(r, dir, lictorName, r.binary)
	}}}
	if r.consul != "" {
		list = append(list, serverKind{"consul", func(_ context.Context, r *rig, dir string) (*server, error) {
			return startServer(r, dir, "consul", r.consul)
		}})
	}
	return list
}

// startServers starts one server of each kind and waits until each takes a write.
func startServers(ctx context.Context, r *rig, kinds []serverKind) ([]*server, error) {
	var list []*server
	for _, k := range kinds {
		dir, err := r.newDir(k.name)
		if err != nil {
			return nil, err
		}
		s, err := k.start(ctx, r, dir)
		if err == nil {
			err = s.writable(ctx, 30*time.Second)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// startServer starts one durable server that is its own agent.
func startServer(r *rig, dir, name, binary string) (*server, error) {
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "agent.hcl")
	if err := os.WriteFile(file, []byte(serverConfig(filepath.Join(dir, "data"), ports)), 0o600); err != nil {
		return nil, err
	}
	s := &server{name: name, http: loopback(ports[0]), dns: loopback(ports[2])}
	s.startAgain = func() error {
		var err error
		s.process, err = r.start(dir, name, nil, binary, "agent", "-config-file", file)
		return err
	}
	return s, s.startAgain()
}

// serverConfig lets one client have as many connections as a bench needs.
func serverConfig(data string, ports []int) string {
	return fmt.Sprintf(`node_name        = "bench"
server           = true
bootstrap_expect = 1
data_dir         = %q
bind_addr        = "127.0.0.1"
client_addr      = "127.0.0.1"
log_level        = "WARN"
limits { http_max_conns_per_client = 8000 }
ports {
  http     = %d
  grpc     = %d
  grpc_tls = -1
  dns      = %d
  server   = %d
  serf_lan = %d
  serf_wan = %d
}
`, data, ports[0], ports[1], ports[2], ports[3], ports[4], ports[5])
}

// writable waits until the server takes a write.
func (s *server) writable(ctx context.Context, limit time.Duration) error {
	return until(ctx, limit, 2*time.Millisecond, "a write to "+s.name, func() error {
		if err := s.process.alive(); err != nil {
			return err
		}
		return s.put("/v1/catalog/register", registration{Node: "first", Address: "127.0.0.1"})
	})
}

// registration is the body of /v1/catalog/register as far as it is needed here.
type registration struct {
	Node, Address string
	Service       *registeredService `json:",omitempty"`
	Check         *registeredCheck   `json:",omitempty"`
}

type registeredService struct {
	ID, Service string
	Address     string
	Port        int
	Tags        []string
	Meta        map[string]string
}

type registeredCheck struct {
	CheckID, Name, Status, ServiceID string
}

// instance is the n-th instance of a service, on a node of its own, with a passing check. The version is something to
// change.
func instance(service string, n int, version string) registration {
	node := fmt.Sprintf("node-%03d", n)
	id := fmt.Sprintf("%s-%03d", service, n)
	return registration{
		Node: node, Address: fmt.Sprintf("10.0.%d.%d", n/250, 1+n%250),
		Service: &registeredService{ID: id, Service: service, Port: 8080, Address: fmt.Sprintf("10.1.%d.%d", n/250, 1+n%250),
			Tags: []string{"primary", "v1"}, Meta: map[string]string{"version": version, "team": "payments"}},
		Check: &registeredCheck{CheckID: "service:" + id, Name: "Service '" + service + "' check", Status: "passing", ServiceID: id},
	}
}

// register puts n instances of a service into the catalog.
func (s *server) register(service string, n int) error {
	for i := range n {
		if err := s.put("/v1/catalog/register", instance(service, i, "1.0.0")); err != nil {
			return err
		}
	}
	return nil
}

// put sends a body as JSON; an answer other than 200 is an error with its text.
func (s *server) put(path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPut, "http://"+s.http+path, strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	c := http.Client{Timeout: 10 * time.Second}
	answer, err := c.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status + ": " + strings.TrimSpace(string(said)))
	}
	return nil
}
