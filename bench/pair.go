package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"
)

// pair are two proxies between an application and the backend: what the application dials, and the process on each
// side. Without any the application dials the backend.
type pair struct {
	name string
	// front is where the application dials.
	front          string
	client, server *process
	// helpers run beside them and are not counted, as the agent that configures sidecars.
	helpers []*process
	// profiles are the addresses of Go's profiles, by side.
	profiles map[string]string
}

// sides are the processes that carry the traffic.
func (p *pair) sides() []*process {
	if p.client == nil {
		return nil
	}
	return []*process{p.client, p.server}
}

// pairKind can make one kind of pair.
type pairKind struct {
	name string
	// missing names the Debian packages to install, none where the kind can be started.
	missing func() []string
	start   func(ctx context.Context, r *rig, dir, backend string) (*pair, error)
}

// The names of contenders that tables compare with.
const (
	lictorName  = "lictor"
	haproxyName = "haproxy"
)

func pairKinds() []pairKind {
	return []pairKind{lictorPair(), haproxyPair(), nginxPair(), noPair()}
}

// startPairs starts one pair of each kind that can be started here, and answers of each that it serves.
func startPairs(ctx context.Context, r *rig, backend string, kinds []pairKind) ([]*pair, error) {
	var pairs []*pair
	for _, k := range kinds {
		if missing := k.missing(); len(missing) > 0 {
			r.skip(k.name, "install "+strings.Join(missing, " "))
			continue
		}
		p, err := startPair(ctx, r, backend, k)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func startPair(ctx context.Context, r *rig, backend string, k pairKind) (*pair, error) {
	dir, err := r.newDir(k.name)
	if err != nil {
		return nil, err
	}
	p, err := k.start(ctx, r, dir, backend)
	if err != nil {
		return nil, err
	}
	p.name = k.name
	return p, until(ctx, 20*time.Second, 5*time.Millisecond, "an answer through the pair", func() error {
		for _, side := range p.sides() {
			if err := side.alive(); err != nil {
				return err
			}
		}
		return askOnce(p.front)
	})
}

// askOnce sends one request to the application.
func askOnce(addr string) error {
	c, err := dial(addr, 0)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = answered(c.exchange(get("bench", "/")))
	return err
}

// noPair is the floor: what load generator and backend do with nothing between them.
func noPair() pairKind {
	return pairKind{name: "no proxy", missing: func() []string { return nil },
		start: func(_ context.Context, _ *rig, _, backend string) (*pair, error) { return &pair{front: backend}, nil }}
}

// freePorts returns ports of loopback that nobody uses for TCP or UDP now, below those that systems give to clients.
func freePorts(n int) (ports []int, err error) {
	taken := map[int]bool{}
	for range 1000 {
		p := 10000 + rand.IntN(22000)
		if taken[p] || !free(p) {
			continue
		}
		taken[p] = true
		if ports = append(ports, p); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("there are no %d free ports on loopback", n)
}

func free(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	u, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// lacking returns the packages of files that are not there.
func lacking(files map[string]string) (packages []string) {
	for file, pkg := range files {
		if _, err := os.Stat(file); err != nil {
			packages = append(packages, pkg)
		}
	}
	return packages
}
