package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// haproxyPair makes a full handshake for each connection, as sidecars do.
func haproxyPair() pairKind { return haproxyKind(haproxyName, " no-ssl-reuse", " no-tls-tickets") }

// resumingHAProxy is the same with sessions resumed, which is haproxy's default.
func resumingHAProxy() pairKind { return haproxyKind("haproxy resuming", "", "") }

func haproxyKind(name, clientOptions, serverOptions string) pairKind {
	missing := func() []string {
		if _, err := findProgram("haproxy"); err != nil {
			return []string{"haproxy"}
		}
		return nil
	}
	start := func(_ context.Context, r *rig, dir, backend string) (*pair, error) {
		path, err := findProgram("haproxy")
		if err != nil {
			return nil, err
		}
		files, err := newPeerFiles(dir)
		if err != nil {
			return nil, err
		}
		ports, err := freePorts(2)
		if err != nil {
			return nil, err
		}
		front, middle := loopback(ports[0]), loopback(ports[1])
		// OPENSSL_CONF chooses the client's group, which a server line cannot.
		env := []string{"OPENSSL_CONF=" + files.openssl}
		side := func(name, bind, server string) (*process, error) {
			file := filepath.Join(dir, name+".cfg")
			if err := os.WriteFile(file, []byte(haproxyConfig(bind, server)), 0o600); err != nil {
				return nil, err
			}
			return r.start(dir, name, env, path, "-db", "-f", file)
		}
		p := &pair{front: front}
		p.server, err = side("server", middle+" ssl crt "+files.serverBoth+" ca-file "+files.root+" verify required curves "+tlsGroup+serverOptions, backend)
		if err != nil {
			return nil, err
		}
		p.client, err = side("client", front, middle+" ssl crt "+files.clientBoth+" ca-file "+files.root+" verify required"+clientOptions)
		return p, err
	}
	return pairKind{name: name, missing: missing, start: start}
}

// haproxyConfig is one side in TCP mode, which is what a sidecar of a service without a protocol does.
func haproxyConfig(bind, server string) string {
	return fmt.Sprintf(`global
  maxconn 4000
  nbthread %d
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites %[2]s
  ssl-default-server-options ssl-min-ver TLSv1.3
  ssl-default-server-ciphersuites %[2]s
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen bench
  bind %[3]s
  server next %[4]s
`, runtime.NumCPU(), tlsSuite, bind, server)
}
