package proxy

import (
	"fmt"
	"strings"
	"time"
)

const (
	// unreadyAfter is how long a proxy is not ready before the log says so: one that starts is not ready for some
	// milliseconds, each for another reason.
	unreadyAfter = time.Second
	// unreadyEvery is the pace at which changed reasons are logged.
	unreadyEvery = 10 * time.Second
	// maxReasons bounds how many reasons are in one line, and maxReason how many bytes of each.
	maxReasons = 5
	maxReason  = 200
)

// readiness decides what the log says about a proxy's readiness. Time is an argument; the sweep brings it at least once
// a second.
type readiness struct {
	// begun tells that the proxy was ready once, ready that it is now.
	begun, ready bool
	// since is when it stopped being ready.
	since time.Time
	// said are the reasons that were logged since then, "" for none.
	said string
	// saidAt is when reasons were last logged; it outlives a return to readiness, so that one who comes and goes is paced.
	saidAt time.Time
}

// note takes what the proxy waits for at the time now, in a stable order. It tells whether to log that the proxy is
// ready, or else what it waits for: "" is to log nothing.
func (r *readiness) note(now time.Time, reasons []string) (ready bool, waiting string) {
	if len(reasons) == 0 {
		// A moment without readiness that no line told of needs no line at its end.
		tell := !r.ready && (!r.begun || r.said != "")
		*r = readiness{begun: true, ready: true, saidAt: r.saidAt}
		return tell, ""
	}
	if r.ready || r.since.IsZero() {
		r.ready, r.since = false, now
	}
	text := joined(reasons)
	early := now.Sub(r.since) < unreadyAfter || !r.saidAt.IsZero() && now.Sub(r.saidAt) < unreadyEvery
	if early || text == r.said {
		return false, ""
	}
	r.said, r.saidAt = text, now
	return false, text
}

// joined is one line of reasons, bounded in length.
func joined(reasons []string) string {
	shown := make([]string, 0, maxReasons+1)
	for n, reason := range reasons {
		if n == maxReasons {
			shown = append(shown, fmt.Sprintf("and %d more", len(reasons)-n))
			break
		}
		if len(reason) > maxReason {
			reason = strings.ToValidUTF8(reason[:maxReason], "") + "..."
		}
		shown = append(shown, reason)
	}
	return strings.Join(shown, "; ")
}

// noteReady publishes whether the proxy is ready, and logs it where that is worth a line.
func (p *Proxy) noteReady() {
	lines := p.Waiting()
	p.readyMu.Lock()
	defer p.readyMu.Unlock()
	if len(lines) == 0 {
		p.metrics.ready.Set(1)
		p.readyOnce.Do(func() { close(p.ready) })
	} else {
		p.metrics.ready.Set(0)
		if p.draining.Load() {
			return // which has lines of its own
		}
	}
	switch ready, waiting := p.readiness.note(time.Now(), lines); {
	case ready:
		p.log.Info("ready")
	case waiting != "":
		p.log.Info("not ready", "waiting", waiting)
	}
}
