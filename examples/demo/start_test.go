package demo_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/examples/demo"
	"github.com/lictor-mesh/lictor/model/fault"
)

// startFails starts a demo that cannot start, and returns why it says so. No child may be left to wait for.
func startFails(t *testing.T, o demo.Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := demo.Start(ctx, o, t.Logf)
	if err == nil {
		m.Stop()
		t.Fatal("the demo started")
	}
	if ctx.Err() != nil {
		t.Fatalf("the demo did not give up by itself: %v", err)
	}
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "not within") {
		t.Errorf("not one line that says it: %v", err)
	}
	return err
}

func freeLayout(t *testing.T) demo.Layout {
	t.Helper()
	layout, err := demo.FreeLayout()
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

func TestTakenPortIsNamedBeforeAnythingStarts(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			layout, dir := freeLayout(t), filepath.Join(t.TempDir(), "demo")
			port, what := layout.Public[2], "the sidecar of api"
			if network == "udp" {
				port, what = layout.DNS, "the agent's DNS"
			}
			address := "127.0.0.1:" + strconv.Itoa(port)
			if network == "tcp" {
				l, err := net.Listen(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
			} else {
				l, err := net.ListenPacket(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
			}
			err := startFails(t, demo.Options{Binary: "/none", Dir: dir, Layout: layout})
			if want := "in use by another process: " + address + " (" + what + ")"; err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
			if !strings.Contains(fault.HintOf(err), "-free-ports") {
				t.Errorf("hint %q", fault.HintOf(err))
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something was started")
			}
		})
	}
}

func TestChildThatEndsDuringStartIsNamed(t *testing.T) {
	dir := t.TempDir()
	// The agent does not start with data that is not a directory.
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := startFails(t, demo.Options{Binary: binary(t), Dir: dir, Layout: freeLayout(t)})
	if !strings.HasPrefix(err.Error(), "agent ended with exit code 1: ") || !strings.Contains(err.Error(), filepath.Join(dir, "data")) {
		t.Errorf("%v", err)
	}
}
