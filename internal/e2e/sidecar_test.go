//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// TestSidecarWaitsForWhatIsLate starts the sidecars before all else.
func TestSidecarWaitsForWhatIsLate(t *testing.T) {
	t.Parallel()
	m := layMesh(t, "")
	m.web = startSidecar(t, m.agent, "web")
	m.db = startSidecar(t, m.agent, "db")
	waits := func(words ...string) func() error {
		return func() error {
			status, body, err := m.web.get("/ready")
			if err != nil || status != 503 {
				return fmt.Errorf("%d %s %w", status, body, errors.Join(err, m.web.alive()))
			}
			for _, w := range words {
				if !strings.Contains(body, w) {
					return fmt.Errorf("%q is not in %q", w, body)
				}
			}
			return m.web.says("waiting", words[0])
		}
	}
	eventually(t, "the sidecar waits for the agent", waits("connection refused"))
	m.start(t)
	eventually(t, "the sidecar waits for its registration", waits("not registered", `"web"`))
	m.registerWeb(t)
	eventually(t, "ready", m.web.ready)
	m.registerDB(t)
	eventually(t, "web reaches db", m.asks)
}

// TestUpstreamThatDoesNotExist holds that it keeps no sidecar from being ready, that connections to it end soon
// and are logged, and that it comes alive with its service.
func TestUpstreamThatDoesNotExist(t *testing.T) {
	t.Parallel()
	m := layMesh(t, "")
	m.start(t)
	m.registerWeb(t)
	m.web = startSidecar(t, m.agent, "web")
	eventually(t, "ready", m.web.ready)
	for range 5 {
		begin := time.Now()
		if err := ask(loopback(m.upstream), "db"); err == nil {
			t.Fatal("an upstream that does not exist answers")
		}
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("the connection ended after %s", took)
		}
	}
	eventually(t, "a log line about the upstream", func() error { return m.web.says("WARN", "db") })
	if n := len(m.web.stderr.lines("WARN", "db")); n > 3 {
		t.Errorf("%d lines for 5 connections in a moment", n)
	}
	m.registerDB(t)
	m.db = startSidecar(t, m.agent, "db")
	eventually(t, "web reaches db", m.asks)
}

// TestSidecarsOutliveTheirAgent kills the agent under traffic, and starts it again: nothing fails meanwhile, and
// changes arrive afterwards.
func TestSidecarsOutliveTheirAgent(t *testing.T) {
	t.Parallel()
	m := startMesh(t, "")
	held, err := net.Dial("tcp", loopback(m.upstream))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	stop, failed := make(chan struct{}), make(chan error, 1)
	var load sync.WaitGroup
	load.Go(func() {
		for {
			if err := errors.Join(askOn(held, "db"), ask(loopback(m.upstream), "db")); err != nil {
				failed <- err
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	for range 2 {
		m.kill()
		if _, err := net.Dial("tcp", m.at("http")); err == nil {
			t.Fatal("the agent was not killed")
		}
		time.Sleep(300 * time.Millisecond) // the outage under test
		m.start(t)
	}
	eventually(t, "the services after the crash", func() error { return errors.Join(m.inCatalog("web"), m.inCatalog("db")) })
	close(stop)
	load.Wait()
	select {
	case err := <-failed:
		t.Errorf("a request failed while the agent was away: %v", err)
	default:
	}
	if _, err := m.Connect().IntentionUpsert(&api.Intention{SourceName: "web", DestinationName: "db", Action: api.IntentionActionDeny}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a denial that was made after the crash", func() error {
		if ask(loopback(m.upstream), "db") == nil {
			return errors.New("web still reaches db")
		}
		return nil
	})
}

// TestSidecarRestartsOnItsPorts holds that a sidecar that was killed can be started again at once.
func TestSidecarRestartsOnItsPorts(t *testing.T) {
	t.Parallel()
	m := startMesh(t, "")
	m.db.kill()
	m.web.kill()
	m.db, m.web = startSidecar(t, m.agent, "db"), startSidecar(t, m.agent, "web")
	eventually(t, "web reaches db again", m.asks)
	m.web.signal(t, syscall.SIGTERM)
	if code := m.web.exit(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	m.db.signal(t, syscall.SIGINT)
	if code := m.db.exit(t); code != 0 {
		t.Errorf("exit code %d after SIGINT", code)
	}
}

// TestSidecarOnATakenPort holds that it says so and waits, and serves once the port is free.
func TestSidecarOnATakenPort(t *testing.T) {
	t.Parallel()
	m := layMesh(t, "")
	m.start(t)
	release := occupy(t, "tcp", loopback(m.upstream))
	m.registerBoth(t)
	m.db, m.web = startSidecar(t, m.agent, "db"), startSidecar(t, m.agent, "web")
	eventually(t, "a line that names the port", func() error { return m.web.says(fmt.Sprint(m.upstream), "in use") })
	if err := m.web.alive(); err != nil {
		t.Fatal(err)
	}
	release()
	eventually(t, "web reaches db", m.asks)
}

// TestSidecarWhoseAdminPortIsTaken holds that this, which only flags mend, ends it.
func TestSidecarWhoseAdminPortIsTaken(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	defer occupy(t, "tcp", loopback(port))()
	_, stderr, code := spawn{}.run(t, "connect", "proxy", "-sidecar-for=web", "-http-addr="+loopback(freePort(t)), "-admin-addr="+loopback(port))
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(stderr, fmt.Sprint(port)) || !strings.Contains(stderr, "in use") {
		t.Errorf("the port is not named: %s", tail(stderr))
	}
}

// TestCommandRunsBesideItsSidecar holds "-- CMD": started once the sidecar is ready, signals passed on, exit code
// passed through.
func TestCommandRunsBesideItsSidecar(t *testing.T) {
	t.Parallel()
	m := layMesh(t, "")
	dir := openDir(t)
	script := filepath.Join(dir, "app")
	// A shell waits for its child before it answers a signal, so it waits in small steps.
	text := "#!/bin/sh\ntrap 'echo got-hup' HUP\ntrap 'echo got-usr1' USR1\ntrap 'echo got-term; exit 7' TERM\n" +
		"echo app-started \"$@\"\ni=0\nwhile [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	m.web = startSidecar(t, m.agent, "web", "--", script, "--flag", "a b")
	eventually(t, "the sidecar waits", func() error { return m.web.says("waiting") })
	m.start(t)
	if err := m.web.says("app-started"); err == nil {
		t.Error("the command was started before the sidecar was ready")
	}
	m.registerWeb(t)
	eventually(t, "the command with its arguments", func() error { return m.web.says("app-started --flag a b") })
	if err := m.web.ready(); err != nil {
		t.Errorf("the command runs, and the sidecar says %v", err)
	}
	for sig, word := range map[syscall.Signal]string{syscall.SIGHUP: "got-hup", syscall.SIGUSR1: "got-usr1"} {
		m.web.signal(t, sig)
		eventually(t, word, func() error { return m.web.says(word) })
	}
	m.web.signal(t, syscall.SIGTERM)
	if code := m.web.exit(t); code != 7 {
		t.Errorf("exit code %d", code)
	}
	if m.web.says("got-term") != nil {
		t.Error("SIGTERM was not passed on")
	}
}

func TestExitCodesOfTheCommandPassThrough(t *testing.T) {
	t.Parallel()
	m := layMesh(t, "")
	m.start(t)
	m.registerWeb(t)
	for _, c := range []struct {
		code int
		argv []string
	}{
		{0, []string{"true"}},
		{3, []string{"sh", "-c", "exit 3"}},
		{128 + 9, []string{"sh", "-c", "kill -9 $$"}},
		{127, []string{"no-such-program"}},
		{126, []string{"/dev/null"}},
	} {
		s := startSidecar(t, m.agent, "web", append([]string{"--"}, c.argv...)...)
		if code := s.exit(t); code != c.code {
			t.Errorf("%v: exit code %d, want %d: %s", c.argv, code, c.code, tail(s.stderr.String()))
		}
	}
}

// TestKilledSidecarTakesItsCommandAlong holds that no application goes on without its sidecar.
func TestKilledSidecarTakesItsCommandAlong(t *testing.T) {
	t.Parallel()
	m := layMesh(t, "")
	m.start(t)
	m.registerWeb(t)
	s := startSidecar(t, m.agent, "web", "--", "sh", "-c", "echo pid=$$; exec sleep 60")
	var pid int
	eventually(t, "the command", func() error {
		lines := s.stdout.lines("pid=")
		if len(lines) == 0 {
			return errors.Join(s.alive(), errors.New("not started"))
		}
		_, err := fmt.Sscanf(lines[0], "pid=%d", &pid)
		return err
	})
	s.kill()
	eventually(t, "the command's end", func() error {
		if err := syscall.Kill(pid, 0); err == nil && !zombie(pid) {
			return fmt.Errorf("process %d runs", pid)
		}
		return nil
	})
}

// zombie tells whether a process has ended and only waits for somebody to read its exit code.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
