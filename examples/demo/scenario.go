package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lictor-mesh/lictor/examples/app"
)

// rotatingTTL is the life of certificates in the steps that watch them rotate.
const rotatingTTL = "20s"

// Check starts a mesh of its own, lives through the scenario, and says each step as it passes. The error names
// the first step that did not.
func Check(ctx context.Context, o Options, say func(format string, args ...any)) error {
	o.LeafTTL = rotatingTTL
	began := time.Now()
	m, err := Start(ctx, o, func(string, ...any) {})
	if err != nil {
		return err
	}
	defer m.Stop()
	say("the mesh is up after %s", time.Since(began).Round(time.Millisecond))
	for i, step := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"web -> api -> db over TLS 1.3, both sides named by SPIFFE id", m.stepCalls},
		{"a denial cuts web off from api within 1 s, and deleting it heals", m.stepDenial},
		{"a dead db instance gets no traffic, and traffic again when it is back", m.stepDeadInstance},
		{"certificates rotate under load, and nobody notices", m.stepRotation},
		{"a sidecar drains on SIGTERM without a failed request", m.stepDrain},
		{"the server is away for 10 s, and all is as before when it is back", m.stepServerAway},
	} {
		began := time.Now()
		found, err := step.run(ctx)
		if err != nil {
			return m.failure(ctx, fmt.Errorf("step %d, %s: %w", i+1, step.name, err))
		}
		say("ok %d  %s (%s)\n      %s", i+1, step.name, time.Since(began).Round(100*time.Millisecond), found)
	}
	return nil
}

// stepCalls is step 1.
func (m *Mesh) stepCalls(ctx context.Context) (string, error) {
	seen := map[string]bool{}
	var path string
	err := m.until(ctx, "both instances of db answer", func() error {
		a, err := m.ask(ctx, "")
		if err != nil {
			return err
		}
		path = a.Path()
		seen[path] = true
		if !seen["web -> api -> db-1"] || !seen["web -> api -> db-2"] {
			return fmt.Errorf("only %v so far", seen)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	peer, err := m.dialAsWeb(ctx)
	if err != nil {
		return "", err
	}
	if err := m.strangersFail(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; api's sidecar is %s, serial %s; strangers are refused", path, peer.uri, peer.serial), nil
}

// stepDenial is step 2.
func (m *Mesh) stepDenial(ctx context.Context) (string, error) {
	denied, err := m.hold(ctx, m.layout.WebToAPI, "GET /health HTTP/1.1\r\nHost: api\r\n\r\n")
	if err != nil {
		return "", fmt.Errorf("a connection web -> api: %w", err)
	}
	defer denied.close()
	allowed, err := app.DialDB(ctx, loopback(m.layout.APIToDB))
	if err != nil {
		return "", err
	}
	defer func() { _ = allowed.Close() }()
	if _, _, err := allowed.Do("PING"); err != nil {
		return "", fmt.Errorf("a connection api -> db: %w", err)
	}
	if _, err := m.run(ctx, "intention", "create", "-deny", "web", "api"); err != nil {
		return "", err
	}
	created := time.Now()
	err = within(ctx, time.Second, "new connections are refused", func() error {
		if _, err := m.ask(ctx, ""); err == nil {
			return errors.New("web was answered")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	refused := time.Since(created)
	if err := denied.closedBy(created.Add(time.Second)); err != nil {
		return "", fmt.Errorf("the open connection web -> api: %w", err)
	}
	if _, _, err := allowed.Do("PING"); err != nil {
		return "", fmt.Errorf("the open connection api -> db was touched: %w", err)
	}
	named, err := m.denialIsNamed(ctx)
	if err != nil {
		return "", err
	}
	if _, err := m.run(ctx, "intention", "delete", "web", "api"); err != nil {
		return "", err
	}
	deleted := time.Now()
	err = within(ctx, time.Second, "web reaches api again", func() error { _, err := m.ask(ctx, ""); return err })
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("refused after %s, healed after %s, api -> db untouched; %s",
		refused.Round(time.Millisecond), time.Since(deleted).Round(time.Millisecond), named), nil
}

// stepDeadInstance is step 3.
func (m *Mesh) stepDeadInstance(ctx context.Context) (string, error) {
	l := m.startLoad(ctx, "")
	defer l.stop()
	if err := m.until(ctx, "load reaches db-1", func() error { return reached(l, "db-1", 0) }); err != nil {
		return "", err
	}
	m.process("app-db-1").kill()
	killed := time.Now()
	if err := m.wait(ctx, checkInterval+slack); err != nil {
		return "", err
	}
	mark, before := time.Now(), l.answered("db-1")
	if err := m.wait(ctx, 3*time.Second); err != nil {
		return "", err
	}
	if err := l.failedSince(mark); err != nil {
		return "", fmt.Errorf("%s after the kill: %w", mark.Sub(killed).Round(time.Millisecond), err)
	}
	if n := l.answered("db-1") - before; n != 0 {
		return "", fmt.Errorf("db-1 is dead and answered %d requests", n)
	}
	if err := m.startApp(db1At); err != nil {
		return "", err
	}
	back := time.Now()
	if err := m.until(ctx, "db-1 gets traffic again", func() error { return reached(l, "db-1", before) }); err != nil {
		return "", err
	}
	returned := time.Since(back)
	l.stop()
	if err := l.failedSince(mark); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d requests, no failure from %s after the kill on; traffic again %s after the restart",
		l.count(), mark.Sub(killed).Round(time.Millisecond), returned.Round(100*time.Millisecond)), nil
}

// slack is what a check's result may take from its run to the last proxy.
const slack = 200 * time.Millisecond

func reached(l *load, instance string, more int) error {
	if n := l.answered(instance); n <= more {
		return fmt.Errorf("%s has given %d answers", instance, n)
	}
	return nil
}

func (m *Mesh) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// stepRotation is step 4.
func (m *Mesh) stepRotation(ctx context.Context) (string, error) {
	const rotations = 3
	l := m.startLoad(ctx, "")
	defer l.stop()
	began := time.Now()
	held, err := app.DialDB(ctx, loopback(m.layout.APIToDB))
	if err != nil {
		return "", err
	}
	defer func() { _ = held.Close() }()
	owner, _, err := held.Do("PING")
	if err != nil {
		return "", err
	}
	var serials []string
	err = within(ctx, 2*time.Minute, "certificates rotate", func() error {
		if answer, _, err := held.Do("PING"); err != nil || answer != owner {
			return fatal{fmt.Errorf("the connection held open: %w", err)}
		}
		peer, err := m.dialAsWeb(ctx)
		if err != nil {
			return fatal{err}
		}
		if len(serials) == 0 || serials[len(serials)-1] != peer.serial {
			serials = append(serials, peer.serial)
		}
		if len(serials) <= rotations {
			return fmt.Errorf("%d rotations so far", len(serials)-1)
		}
		return m.wait(ctx, 100*time.Millisecond)
	})
	if err != nil {
		return "", err
	}
	l.stop()
	if err := l.failedSince(time.Time{}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d rotations in %s, %d requests without a failure, one connection held open throughout",
		len(serials)-1, time.Since(began).Round(time.Second), l.count()), nil
}

// stepDrain is step 5.
func (m *Mesh) stepDrain(ctx context.Context) (string, error) {
	l := m.startLoad(ctx, "")
	defer l.stop()
	slow := m.startLoad(ctx, "delay=1s")
	defer slow.stop()
	if err := m.until(ctx, "load reaches db-2", func() error { return reached(l, "db-2", 0) }); err != nil {
		return "", err
	}
	if err := m.wait(ctx, 1500*time.Millisecond); err != nil {
		return "", err
	}
	sidecar := m.process("sidecar-db-2")
	began := time.Now()
	if err := sidecar.terminate(); err != nil {
		return "", err
	}
	if code := sidecar.exit(); code != 0 {
		return "", fmt.Errorf("the sidecar ended with code %d", code)
	}
	drained := time.Since(began)
	if err := m.wait(ctx, time.Second); err != nil {
		return "", err
	}
	before := l.answered("db-2")
	if err := m.startSidecar(db2At); err != nil {
		return "", err
	}
	if err := m.until(ctx, "db-2 gets traffic again", func() error { return reached(l, "db-2", before) }); err != nil {
		return "", err
	}
	l.stop()
	slow.stop()
	if err := errors.Join(l.failedSince(time.Time{}), slow.failedSince(time.Time{})); err != nil {
		return "", err
	}
	return fmt.Sprintf("ended with 0 after %s, %d quick and %d slow requests without a failure",
		drained.Round(10*time.Millisecond), l.count(), slow.count()), nil
}

// stepServerAway is step 6.
func (m *Mesh) stepServerAway(ctx context.Context) (string, error) {
	if _, err := m.run(ctx, "intention", "create", "-deny", "db", "web"); err != nil {
		return "", err
	}
	m.process("agent").stop()
	if err := m.StartAgent(ctx, ""); err != nil {
		return "", err
	}
	if err := m.until(ctx, "certificates live for 72 h again", m.longLived); err != nil {
		return "", err
	}
	before, err := m.inventory()
	if err != nil {
		return "", err
	}
	m.process("agent").stop()
	l := m.startLoad(ctx, "")
	defer l.stop()
	if err := m.wait(ctx, 10*time.Second); err != nil {
		return "", err
	}
	if err := m.StartAgent(ctx, ""); err != nil {
		return "", err
	}
	err = m.until(ctx, "registrations, intentions and CA are as before", func() error {
		after, err := m.inventory()
		if err == nil && after != before {
			err = fmt.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := m.wait(ctx, 2*time.Second); err != nil {
		return "", err
	}
	l.stop()
	if err := l.failedSince(time.Time{}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d requests without a failure; registrations, intentions and CA keys are as before", l.count()), nil
}
