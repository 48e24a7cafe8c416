package proxy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/proxy/resource"
)

// sink is what the source feeds.
type sink struct{ p *Proxy }

// Apply implements resource.Sink.
func (s sink) Apply(state *resource.State) { s.p.apply(state) }

// Report implements resource.Sink.
func (s sink) Report(waiting string) {
	s.p.mu.Lock()
	s.p.waiting = waiting
	s.p.mu.Unlock()
	s.p.noteReady()
}

// apply makes state the current one: secrets first, then clusters, then listeners, so that nothing refers to what is
// not there yet; and what goes, goes in the reverse order.
func (p *Proxy) apply(state *resource.State) {
	if leaf := p.trust.update(state.Secrets); leaf != nil {
		p.metrics.expiry.Set(float64(leaf.NotAfter.Unix()))
		p.log.Info("certificate in use", "id", leaf.ID, "serial", leaf.Serial, "until", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	p.mu.Lock()
	was := p.state
	p.state = state
	for name, res := range state.Clusters {
		c := p.clusters[name]
		if c == nil {
			c = newCluster(p, name)
			p.clusters[name] = c
		}
		var before *resource.Endpoints
		if was != nil {
			before = was.Endpoints[res.EndpointsName]
		}
		if err := c.update(res, state.Endpoints[res.EndpointsName], before); err != nil {
			p.log.Error("a cluster cannot be used", "cluster", name, "error", err)
		}
	}
	p.routing.Store(&routing{state, maps.Clone(p.clusters)})
	gone, lost := p.reconcileListeners(state)
	for name := range p.clusters {
		if state.Clusters[name] == nil {
			delete(p.clusters, name) // open links hold on to theirs
		}
	}
	p.routing.Store(&routing{state, maps.Clone(p.clusters)})
	p.mu.Unlock()
	for _, x := range lost {
		x.end()
	}
	for _, l := range gone {
		l.close()
	}
	p.noteReady()
	p.wakeSweep()
}

// retry opens the listeners that could not be opened before, and lets go of closed ones that have emptied.
func (p *Proxy) retry() {
	p.mu.Lock()
	if p.state != nil && len(p.problems) > 0 {
		// The state is the one that was applied: this opens listeners, and closes none.
		_, _ = p.reconcileListeners(p.state)
	}
	for l := range p.retired {
		l.mu.Lock()
		empty := l.closed && l.serving == 0
		l.mu.Unlock()
		if empty {
			delete(p.retired, l)
			if p.listeners[l.name] == nil {
				p.metrics.forget(l.name)
			}
		}
	}
	p.mu.Unlock()
	p.noteReady()
}

// reconcileListeners updates, opens and retires listeners, and returns those that are to be closed, and the connections
// that are to be ended. The caller holds mu; what happens meanwhile is local: opening a socket does not wait.
func (p *Proxy) reconcileListeners(state *resource.State) (gone []*listener, lost []loss) {
	for name, l := range p.listeners {
		if res := state.Listeners[name]; res == nil || res.Address != l.address || res.Inbound() != l.spec.Load().res.Inbound() {
			delete(p.listeners, name)
			p.retired[l] = struct{}{}
			// The socket must be gone before another listener wants its address.
			_ = l.socket.Close()
			gone = append(gone, l)
			p.log.Info("listener closes, its connections drain", "listener", name)
		}
	}
	clear(p.problems)
	for name, res := range state.Listeners {
		if res.Inbound() && p.closedInbound || !res.Inbound() && p.closedOutbound {
			continue
		}
		if l := p.listeners[name]; l != nil {
			lost = append(lost, l.update(res)...)
			continue
		}
		if reason := p.missing(state, res); reason != "" {
			p.problems[name] = reason
			continue
		}
		l, err := p.bind(res)
		if err != nil {
			p.problems[name] = err.Error()
			p.bindComplaints.logEvery(bindComplaintEvery, time.Now(), p.log.Error, "a listener is not up, trying again", "listener", name, "error", err)
			continue
		}
		p.listeners[name] = l
		p.log.Info("listening", "listener", name, "address", l.socket.Addr())
	}
	return gone, lost
}

// missing names what a listener needs before it can open; empty when it has all.
func (p *Proxy) missing(state *resource.State, l *resource.Listener) string {
	if l.TLS != nil {
		if reason := waiting(l.TLS.Credentials, p.trust.credentials(l.TLS.Credentials)); reason != "" {
			return reason
		}
	}
	name := destination(state, l)
	if name == "" {
		return "waiting for the route " + l.Route
	}
	c := state.Clusters[name]
	if c == nil {
		return "waiting for the cluster " + name
	}
	if c.TLS != nil {
		return waiting(c.TLS.Credentials, p.trust.credentials(c.TLS.Credentials))
	}
	return ""
}

// Waiting says in lines what the proxy is not ready for; none means that it is ready.
func (p *Proxy) Waiting() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining.Load() {
		return []string{"draining"}
	}
	if p.state == nil {
		return []string{cmp.Or(p.waiting, "the agent's first answer")}
	}
	var lines []string
	for name, reason := range p.problems {
		lines = append(lines, "listener "+name+": "+reason)
	}
	if len(p.state.Listeners) == 0 {
		lines = append(lines, "no listeners yet: is the proxy service registered, and did the agent accept it?")
		if p.waiting != "" {
			lines = append(lines, p.waiting)
		}
	}
	slices.Sort(lines)
	return lines
}

// sourceWaiting is what the source waits for, empty while it is up to date.
func (p *Proxy) sourceWaiting() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}
