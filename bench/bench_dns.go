package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// dnsBench asks for the addresses of a service over UDP.
func dnsBench() bench {
	return bench{name: "dns", title: "DNS answers over UDP, a service of 3 instances", run: runDNS}
}

const (
	dnsInstances = 3
	dnsName      = "web.service.consul."
)

// resolver is a contender of this bench.
type resolver struct {
	name, addr string
	process    *process
}

func runDNS(ctx context.Context, r *rig) (*table, error) {
	servers, err := startServers(ctx, r, serverKinds(r))
	if err != nil {
		return nil, err
	}
	var list []*resolver
	for _, s := range servers {
		if err := s.register("web", dnsInstances); err != nil {
			return nil, err
		}
		list = append(list, &resolver{s.name, s.dns, s.process})
	}
	peer, err := startUnbound(r)
	if err != nil {
		return nil, err
	}
	if peer != nil {
		list = append(list, peer)
	}
	for _, s := range list {
		err := until(ctx, 10*time.Second, 5*time.Millisecond, "an answer of "+s.name, func() error { return dnsOnce(s.addr, dnsName, dnsInstances) })
		if err != nil {
			return nil, err
		}
	}
	found := samples{}
	err = rounds(ctx, r.rounds, list, func(s *resolver) error {
		o, err := dnsLoad(ctx, r, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		found.add(s.name, "rate", float64(o.answers)/o.took.Seconds())
		found.add(s.name, "lost", float64(o.lost))
		found.add(s.name, "cpu", float64(o.cpu.Nanoseconds())/1000/float64(max(1, o.answers)))
		return nil
	})
	t := &table{
		header: []string{"server", "answers/s", "lost", "CPU us/answer", "to unbound"},
		note: fmt.Sprintf("%d sockets with %d queries under way each for the A records of %s Lost is what had no answer within %s. unbound answers "+
			"from local data in memory.", dnsSockets, dnsWindow, dnsName, dnsPatience),
	}
	for _, s := range list {
		t.add(s.name, whole(found.median(s.name, "rate")), whole(found.median(s.name, "lost")), cell("%.1f", found.median(s.name, "cpu")), found.ratio(s.name, "unbound", "rate"))
	}
	return t, err
}

// startUnbound starts the peer, nil where it is not installed.
func startUnbound(r *rig) (*resolver, error) {
	path, err := findProgram("unbound")
	if err != nil {
		r.skip("unbound", "install unbound")
		return nil, nil
	}
	dir, err := r.newDir("unbound")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`server:
  interface: 127.0.0.1@%d
  num-threads: %d
  so-reuseport: yes
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  local-zone: "consul." static
  local-data: "%[4]s 0 IN A 10.1.0.1"
  local-data: "%[4]s 0 IN A 10.1.0.2"
  local-data: "%[4]s 0 IN A 10.1.0.3"
remote-control:
  control-enable: no
`, ports[0], runtime.NumCPU(), dir, dnsName)
	file := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p, err := r.start(dir, "unbound", nil, path, "-d", "-c", file)
	return &resolver{"unbound", loopback(ports[0]), p}, err
}
