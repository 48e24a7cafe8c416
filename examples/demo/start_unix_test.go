//go:build unix

package demo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEndOfTheTerminalEndsTheDemo(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), binary(t), "demo", "-free-ports", "-data-dir="+dir)
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// In the middle of the start: the agent runs, and not all is there.
	log := filepath.Join(dir, "logs", "agent.log")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if content, err := os.ReadFile(log); err == nil && len(content) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the agent writes nothing")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if strings.Contains(out.String(), "--- ") {
		t.Errorf("logs were dumped: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "raft")); err != nil {
		t.Errorf("no agent ran: %v", err)
	}
	lock, err := os.ReadFile(filepath.Join(dir, "data", "lock"))
	if err == nil && len(lock) > 0 {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(lock))); err == nil {
			t.Errorf("the agent, process %s, still runs", lock)
		}
	}
}
