package gossip

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Join contacts members at addresses, "host" or "host:port", names being looked up now; without a port it
// is this pool's own. It returns how many addresses answered, and an error only when none did.
func (p *Pool) Join(addrs []string) (int, error) {
	if err := checkAddrs(addrs); err != nil {
		return 0, err
	}
	n, err := p.serf.Join(addrs, true)
	if n == 0 && err != nil {
		return 0, fault.New(fault.Unavailable, "joining the %s pool: %s", p.cfg.Kind, oneLine(err))
	}
	return n, nil
}

// checkAddrs refuses what is no address, before anything is dialed.
func checkAddrs(addrs []string) error {
	for _, a := range addrs {
		switch {
		case strings.HasPrefix(a, "provider="):
			return fault.New(fault.Invalid, "retry_join %q: cloud auto-join is not supported", a).
				WithHint("name addresses, or one DNS name that resolves to all servers")
		case a == "" || strings.ContainsAny(a, " \t\n/"):
			return fault.New(fault.Invalid, "%q is no address to join", a).WithHint("write host or host:port, an IPv6 address with port as [::1]:8301")
		}
	}
	return nil
}

// Retry says how RetryJoin goes about.
type Retry struct {
	Addrs []string
	// Interval is between attempts. Unless Max is set, the first ones come sooner, from a second on, since
	// hosts of a fleet are mostly started together.
	Interval time.Duration
	// Max is the number of attempts, 0 is without end.
	Max int
}

// RetryJoin joins until another member was reached, or the addresses turn out to be this host's alone. Each
// failed attempt is one log line that says when the next one comes. It returns an error for addresses that
// can never work, after Max attempts (kind Unavailable), and when ctx ends (kind Canceled).
func (p *Pool) RetryJoin(ctx context.Context, r Retry) error {
	if err := checkAddrs(r.Addrs); err != nil {
		return err
	}
	if len(r.Addrs) == 0 {
		return nil
	}
	for attempt := 1; ; attempt++ {
		others, err := p.attempt(r.Addrs)
		if err == nil {
			p.log.Info("joined", "pool", p.cfg.Kind, "members", others+1)
			return nil
		}
		if r.Max > 0 && attempt >= r.Max {
			return fault.New(fault.Unavailable, "could not join the %s pool in %d attempts: %w", p.cfg.Kind, attempt, err).
				WithHint("check retry_join and that port %d is open there over TCP and UDP", p.port)
		}
		pause := r.pause(attempt, rand.Float64())
		p.log.Warn("could not join, trying again", "pool", p.cfg.Kind, "error", err, "attempt", attempt, "next", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.done:
			timer.Stop()
			return fault.New(fault.Canceled, "the %s pool ended", p.cfg.Kind)
		case <-ctx.Done():
			timer.Stop()
			return fault.New(fault.Canceled, "joining the %s pool: %w", p.cfg.Kind, ctx.Err())
		}
	}
}

// pause is the time after a failed attempt, the first being 1; u in [0,1) spreads hosts by up to an eighth.
func (r Retry) pause(attempt int, u float64) time.Duration {
	pause := r.Interval
	if r.Max == 0 {
		if ramp := time.Second << min(attempt-1, 20); ramp < pause {
			pause = ramp
		}
	}
	return pause + time.Duration(u*float64(pause)/8)
}

// attempt contacts each address on its own: to have reached only oneself is no success while another
// address did not answer, since servers commonly list all of themselves.
func (p *Pool) attempt(addrs []string) (others int, err error) {
	var failed []string
	for _, a := range addrs {
		if _, err := p.serf.Join([]string{a}, true); err != nil {
			failed = append(failed, oneLine(err))
		}
	}
	for _, m := range p.Members() {
		if m.Status == model.MemberAlive && string(m.Name) != p.cfg.memberName() {
			others++
		}
	}
	if others > 0 || len(failed) == 0 {
		return others, nil
	}
	return 0, fault.New(fault.Unavailable, "%s", strings.Join(failed, "; "))
}

// oneLine flattens memberlist's lists of errors.
func oneLine(err error) string {
	fields := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\t' })
	for i, f := range fields {
		fields[i] = strings.TrimPrefix(strings.TrimSpace(f), "* ")
	}
	return strings.Join(fields, " ")
}
