package xds

import (
	"context"
	"net/netip"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// release waits for the streams that still hold an endpoint. Its fields are guarded by Server.mu.
type release struct {
	service model.ServiceName
	addr    netip.AddrPort
	holding map[*session]struct{}
	done    chan struct{}
	over    bool
}

// EndpointsReleased waits until no connected stream holds the endpoint of a service as healthy: each that
// subscribes to the service's endpoints was sent a version without it, or with it unhealthy, and has accepted
// it. A stream that ends counts as released. When ctx ends first, the error is of kind Unavailable and
// holding is how many streams still hold the endpoint.
//
// A draining proxy is told by this that its subscribers have moved on, so it must have left the healthy set
// before: an endpoint that the streams of a moment all lack counts as released at once.
func (s *Server) EndpointsReleased(ctx context.Context, service model.ServiceName, addr netip.AddrPort) (holding int, err error) {
	r := &release{service: service, addr: addr, holding: make(map[*session]struct{}), done: make(chan struct{})}
	s.mu.Lock()
	for x := range s.sessions {
		if x.holds(service, addr) {
			r.holding[x] = struct{}{}
		}
	}
	if len(r.holding) > 0 {
		s.releases[r] = struct{}{}
		s.releasing.Store(true)
	} else {
		close(r.done)
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return 0, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.over {
		return 0, nil
	}
	s.endRelease(r)
	return len(r.holding), fault.New(fault.Unavailable, "%d of the proxies that dial %s still hold %s", len(r.holding), service, addr)
}

func (s *Server) endRelease(r *release) {
	r.over = true
	delete(s.releases, r)
	s.releasing.Store(len(s.releases) > 0)
}

// moved tells the waiting releases that what a session holds may have changed, or that it ended.
func (s *Server) moved(x *session) {
	if !s.releasing.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, connected := s.sessions[x]
	for r := range s.releases {
		if connected && x.holds(r.service, r.addr) {
			r.holding[x] = struct{}{}
			continue
		}
		delete(r.holding, x)
		if len(r.holding) == 0 {
			s.endRelease(r)
			close(r.done)
		}
	}
}

// holds tells whether the client may send traffic to the endpoint: what it accepted, or what it is being
// told, or what it brought from an earlier stream has it.
func (c *conversation) holds(service model.ServiceName, addr netip.AddrPort) bool {
	for name, o := range c.subs[TypeEndpoint].offered {
		if !serves(name, service) {
			continue
		}
		if o.unknown || offers(o.sent, addr) || offers(o.acked, addr) {
			return true
		}
	}
	return false
}

func offers(r *Resource, addr netip.AddrPort) bool {
	return r != nil && r.endpoints != nil && r.endpoints.Offers(addr)
}

// serves tells whether a cluster is one of a service's (Target.Cluster).
func serves(cluster string, service model.ServiceName) bool {
	if _, plain, customized := strings.Cut(cluster, "~"); customized {
		cluster = plain
	}
	return strings.HasPrefix(model.Fold(cluster), model.Fold(service)+".default.")
}
