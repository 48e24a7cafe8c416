package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// nginxStream is the module that carries TCP, where Debian keeps it.
const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// nginxPair makes a full handshake for each connection, as sidecars do.
func nginxPair() pairKind {
	return pairKind{name: "nginx", start: startNginx, missing: func() (packages []string) {
		if _, err := findProgram("nginx"); err != nil {
			packages = append(packages, "nginx-light")
		}
		return append(packages, lacking(map[string]string{nginxStream: "libnginx-mod-stream"})...)
	}}
}

func startNginx(_ context.Context, r *rig, dir, backend string) (*pair, error) {
	path, err := findProgram("nginx")
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
	side := func(name, listen, options string) (*process, error) {
		file := filepath.Join(dir, name+".conf")
		if err := os.WriteFile(file, []byte(nginxConfig(filepath.Join(dir, name+".pid"), listen, options)), 0o600); err != nil {
			return nil, err
		}
		return r.start(dir, name, nil, path, "-p", dir, "-e", filepath.Join(dir, name+".errors"), "-c", file)
	}
	p := &pair{front: front}
	p.server, err = side("server", middle+" ssl", fmt.Sprintf(`proxy_pass %s;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_client_certificate %s;
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_ecdh_curve prime256v1;
    ssl_conf_command Ciphersuites %s;
    ssl_session_cache off;
    ssl_session_tickets off;`, backend, files.serverCert, files.serverKey, files.root, tlsSuite))
	if err != nil {
		return nil, err
	}
	p.client, err = side("client", front, fmt.Sprintf(`proxy_pass %s;
    proxy_ssl on;
    proxy_ssl_certificate %s;
    proxy_ssl_certificate_key %s;
    proxy_ssl_trusted_certificate %s;
    proxy_ssl_verify on;
    proxy_ssl_name db;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_conf_command Groups %s;
    proxy_ssl_conf_command Ciphersuites %s;
    proxy_ssl_session_reuse off;`, middle, files.clientCert, files.clientKey, files.root, tlsGroup, tlsSuite))
	return p, err
}

// nginxConfig is one side as a TCP stream.
func nginxConfig(pid, listen, options string) string {
	return fmt.Sprintf(`load_module %s;
daemon off;
pid %s;
worker_processes %d;
events { worker_connections 4096; }
stream {
  server {
    listen %s;
    tcp_nodelay on;
    proxy_buffer_size 16k;
    %s
  }
}
`, nginxStream, pid, runtime.NumCPU(), listen, options)
}
