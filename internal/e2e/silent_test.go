//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// silenceLimit is how long a client that does not say what it came for may keep a connection.
const silenceLimit = 16 * time.Second

// TestSilentClientsAreClosed holds that every listener whose clients speak first closes those that do not, or that stop
// in the middle of their first word. A sidecar's upstream is none: there the server may be the one to speak.
func TestSilentClientsAreClosed(t *testing.T) {
	t.Parallel()
	m := startMesh(t, "")
	hello := string(clientHello(t))
	var waits sync.WaitGroup
	begun := map[string]string{"silent": "", "half a request": "GET /v1/st", "half a hello": hello[:len(hello)/2], "half an HTTP/2 preface": "PRI * HTTP/2.0\r\n", "an HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}
	for name, address := range map[string]string{
		"HTTP": m.at("http"), "gRPC": m.at("grpc"), "DNS": m.at("dns"), "RPC": m.at("server"), "gossip": m.at("serf_lan"),
		"public": loopback(m.dbPublic), "admin": loopback(m.db.admin),
	} {
		for what, first := range begun {
			waits.Go(func() {
				if err := closes(address, first); err != nil {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			})
		}
	}
	waits.Wait()
}

// closes is nil when the other side closes a connection on which it got first and nothing more.
func closes(address, first string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, first); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(silenceLimit))
	if _, err = io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("open after %s", silenceLimit)
	}
	return nil
}

// TestAnswersOfManyAreBounded holds that a client which asks and never reads cannot make the agent keep its answers.
func TestAnswersOfManyAreBounded(t *testing.T) {
	t.Parallel()
	m := startMesh(t, "")
	before := m.rss(t)
	request := strings.Repeat("GET /v1/agent/self HTTP/1.1\r\nHost: x\r\n\r\n", 2000)
	var held []net.Conn
	for range 20 {
		c, err := net.Dial("tcp", m.at("http"))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		go func() { _, _ = io.WriteString(c, request) }()
	}
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for range 20 {
		m.served(t)
	}
	if after := m.rss(t); after > before+(64<<20) {
		t.Errorf("from %d to %d MiB", before>>20, after>>20)
	}
}
