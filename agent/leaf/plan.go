package leaf

import (
	mathrand "math/rand/v2"
	"time"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/model"
)

// plan says when a leaf is to be renewed, and when it is to be dropped. It does no I/O and reads no clock.
type plan struct {
	// due is when the next renewal is tried, pause what is waited after the next failure.
	due   time.Time
	pause time.Duration
	// patient is set until the roots of a young cluster have been waited for once, waiting while they are.
	patient, waiting bool
	// unused is when the leaf is dropped; zero while it is in use, as far as is known.
	unused time.Time
	// spread is the active root for which a renewal has been planned.
	spread string
}

// follow plans a renewal soon after the active root has changed, however long the leaf would live: whoever rotates
// a root wants no leaf of the old one. The agents' leaves spread over rootSpread.
func (p *plan) follow(cert *model.LeafCert, roots *model.CARoots, now time.Time) {
	if cert == nil || roots == nil || p.spread == roots.ActiveRootID || !certs.Outdated(cert, roots) {
		return
	}
	p.spread = roots.ActiveRootID
	if soon := now.Add(mathrand.N(rootSpread)); soon.Before(p.due) {
		p.due = soon
	}
}

// isDue tells whether to try a renewal now. A young cluster makes its authority just now: the first attempt waits
// for its root, for a while.
func (p *plan) isDue(roots *model.CARoots, now time.Time) bool {
	if p.waiting && known(roots) {
		p.waiting = false
		return true
	}
	if now.Before(p.due) {
		return false
	}
	if p.patient && !known(roots) {
		p.patient, p.waiting, p.due = false, true, now.Add(rootsWait)
		return false
	}
	p.waiting = false
	return true
}

func (p *plan) issued(cert *model.LeafCert, now time.Time) {
	p.pause = retryMin
	p.spread = cert.RootID
	p.due = certs.RenewAt(cert, mathrand.Float64())
	if earliest := now.Add(retryMin); p.due.Before(earliest) {
		p.due = earliest
	}
}

func (p *plan) failed(now time.Time) {
	p.due = now.Add(max(p.pause, retryMin))
	p.pause = min(2*p.pause, retryMax)
}

// rest plans to drop a leaf that nobody holds any more. A short-lived one is not worth keeping past its renewal.
func (p *plan) rest(cert *model.LeafCert, now time.Time) {
	age := idleAge
	if cert != nil {
		age = min(age, max(cert.ValidBefore.Sub(now)/4, 0))
	}
	p.unused = now.Add(age)
}

// rested tells whether it is time to drop the leaf, if nobody has come back.
func (p *plan) rested(now time.Time) bool {
	if p.unused.IsZero() || now.Before(p.unused) {
		return false
	}
	p.unused = time.Time{}
	return true
}

// next is when something is to be done.
func (p *plan) next() time.Time {
	if !p.unused.IsZero() && p.unused.Before(p.due) {
		return p.unused
	}
	return p.due
}
