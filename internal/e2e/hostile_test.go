//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The size of an attack, and what the process under it may use.
const (
	floodConns = 300
	mostRSS    = 192 << 20
)

// TestHostileClientsHurtNobody attacks every listener in turn, while a client from another address asks the agent and
// web asks db: neither may fail, nothing may crash, and the log stays readable.
func TestHostileClientsHurtNobody(t *testing.T) {
	t.Parallel()
	m := startMesh(t, "")
	hello := clientHello(t)
	for _, target := range []struct {
		name    string
		address string
		victim  *process
	}{
		{"HTTP", m.at("http"), m.process},
		{"gRPC", m.at("grpc"), m.process},
		{"DNS", m.at("dns"), m.process},
		{"RPC", m.at("server"), m.process},
		{"LAN gossip", m.at("serf_lan"), m.process},
		{"sidecar's public port", loopback(m.dbPublic), m.db.process},
		{"sidecar's upstream", loopback(m.upstream), m.web.process},
		{"sidecar's admin address", loopback(m.db.admin), m.db.process},
	} {
		t.Run(target.name, func(t *testing.T) {
			before, begin := len(target.victim.logged()), time.Now()
			for name, attack := range map[string]func(string) error{
				"garbage": sendGarbage, "half a hello": func(a string) error { return sendAll(a, hello[:len(hello)/2]) },
				"nothing": func(a string) error { return sendAll(a, nil) }, "resets": reset,
			} {
				for range 20 {
					if err := attack(target.address); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
			}
			held := flood(t, target.address, hello)
			m.served(t)
			for _, c := range held {
				_ = c.Close()
			}
			m.served(t)
			target.victim.noPanic(t)
			if rss := target.victim.rss(t); rss > mostRSS {
				t.Errorf("%d MiB of memory", rss>>20)
			}
			eventually(t, "the connections' end", func() error {
				if n := target.victim.openFiles(t); n > 150 {
					return fmt.Errorf("%d open files", n)
				}
				return nil
			})
			// A few at once, and one a second for each part that complains.
			lines := target.victim.logged()[before:]
			if most := 6 + 2*int(time.Since(begin)/time.Second); len(lines) > most {
				t.Errorf("%d lines in %s: %s", len(lines), time.Since(begin), strings.Join(lines[:min(len(lines), 12)], "\n"))
			}
		})
	}
}

// TestHostilePacketsHurtNobody does the same over UDP.
func TestHostilePacketsHurtNobody(t *testing.T) {
	t.Parallel()
	m := startMesh(t, "")
	for _, port := range []string{"dns", "serf_lan"} {
		before, begin := len(m.logged()), time.Now()
		c, err := net.Dial("udp", m.at(port))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			// What the kernel refuses to send is not under test.
			_, _ = c.Write(garbage(1 + i%1400))
		}
		_ = c.Close()
		m.served(t)
		m.noPanic(t)
		if rss := m.rss(t); rss > mostRSS {
			t.Errorf("%s: %d MiB of memory", port, rss>>20)
		}
		lines := m.logged()[before:]
		if most := 6 + 2*int(time.Since(begin)/time.Second); len(lines) > most {
			t.Errorf("%s: %d lines in %s: %s", port, len(lines), time.Since(begin), strings.Join(lines[:min(len(lines), 12)], "\n"))
		}
	}
	nodes, _, err := m.Catalog().Nodes(nil)
	if err != nil || len(nodes) != 1 {
		t.Errorf("%v, %v", nodes, err)
	}
}

// logged are the lines that the process has written to its log.
func (p *process) logged() (lines []string) {
	for _, level := range []string{"[INFO]", "[WARN]", "[ERROR]"} {
		lines = append(lines, p.stdout.lines(level)...)
		lines = append(lines, p.stderr.lines(level)...)
	}
	lines = append(lines, p.stdout.lines("http: ")...)
	return lines
}

// served fails the test unless a client from another address is answered by all that serves clients.
func (m *mesh) served(t *testing.T) {
	t.Helper()
	for range 3 {
		for what, err := range map[string]error{
			"the API": askAPI(t.Context(), m.at("http")), "the mesh": m.asks(), "the admin address": m.db.ready(), "DNS": m.resolves(),
		} {
			if err != nil {
				t.Fatalf("another client is not served by %s: %v", what, err)
			}
		}
	}
}

// elsewhere dials from an address of its own, since limits are counted for each client's address.
func elsewhere() *net.Dialer {
	return &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
}

func askAPI(ctx context.Context, address string) error {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: elsewhere().DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v1/health/service/db", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Contains(body, []byte(`"db"`)) {
		err = fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return err
}

// resolves is nil when DNS answers for db over UDP.
func (m *mesh) resolves() error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", m.at("dns"))
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := resolver.LookupHost(ctx, "db.service.consul.")
	return err
}

func garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func sendGarbage(address string) error { return sendAll(address, garbage(1+rand.IntN(16<<10))) }

// sendAll connects, sends what the other side takes, and closes.
func sendAll(address string, b []byte) error {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write(b) // the other side may have closed
	return c.Close()
}

// reset connects and goes away with a reset.
func reset(address string) error {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return err
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	return c.Close()
}

// flood opens many connections and keeps them: a third silent, a third with half a TLS hello, a third with garbage.
func flood(t *testing.T, address string, hello []byte) (held []net.Conn) {
	t.Helper()
	for i := range floodConns {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if errors.Is(err, syscall.ECONNRESET) {
			continue // beyond a limit
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		held = append(held, c)
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		switch i % 3 {
		case 1:
			_, _ = c.Write(hello[:len(hello)/2])
		case 2:
			_, _ = c.Write(garbage(500))
		}
	}
	return held
}

// clientHello is the first message of a TLS handshake.
func clientHello(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	go func() { _ = client.Handshake() }()
	b := make([]byte, 4096)
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	return b[:n]
}

// rss is the process's resident memory in bytes.
func (p *process) rss(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	var o output
	_, _ = o.Write(status)
	for _, line := range o.lines("VmRSS:") {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func (p *process) openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(list)
}
