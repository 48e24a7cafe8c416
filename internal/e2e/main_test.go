//go:build unix

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// built builds the program once for all tests that are not given one.
var built = sync.OnceValues(func() (string, error) {
	if b := os.Getenv("LICTOR_TEST_BINARY"); b != "" {
		return b, nil
	}
	dir, err := os.MkdirTemp("", "lictor-e2e-")
	if err != nil {
		return "", err
	}
	// Another user runs it too, in the tests about files that are not one's own.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	b := filepath.Join(dir, "lictor")
	build := exec.Command("go", "build", "-o", b, "github.com/lictor-mesh/lictor/cmd/lictor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return b, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait for other processes more than they compute.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = flag.Set("test.parallel", "6")
	}
	code := m.Run()
	if os.Getenv("LICTOR_TEST_BINARY") == "" {
		if b, err := built(); err == nil {
			_ = os.RemoveAll(filepath.Dir(b))
		}
	}
	os.Exit(code)
}

func binary(t testing.TB) string {
	t.Helper()
	b, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// portSource hands out each port once, so that tests that run side by side do not get the same.
type portSource struct {
	mu   sync.Mutex
	next int
}

var allPorts = sync.OnceValue(func() *portSource { return &portSource{next: 10000 + rand.IntN(18000)} })

// freePort is a port of loopback that nobody uses now, below those that the system gives to clients.
func freePort(t testing.TB) int {
	t.Helper()
	s := allPorts()
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 2000 {
		if s.next++; s.next > 32000 {
			s.next = 10000
		}
		if isFree(s.next) {
			return s.next
		}
	}
	t.Fatal("no free port found on loopback")
	return 0
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	defer func() { _ = l.Close() }()
	u, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// patience is the time for something that should be quick, before it counts as broken: the machine may be busy.
const patience = 20 * time.Second

// hopeless is an error for which waiting longer is no use.
type hopeless struct{ error }

// within polls until try succeeds, and returns its last error when it has not by then.
func within(limit time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		var h hopeless
		if errors.As(err, &h) || time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %w", limit, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// eventually fails the test when try does not succeed in time.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	if err := within(patience, try); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
