package agent

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

// The rhythm in which a sidecar's checks are run after its proxy has connected, until they pass.
const (
	settleEvery = 100 * time.Millisecond
	settleFor   = 10 * time.Second
)

// mesh is this host's side of the data plane, for the HTTP API.
type mesh struct {
	agent *Agent
	// wait is how long a draining proxy's callers are waited for.
	wait time.Duration
	log  hclog.Logger
}

// Leaf implements httpapi.Mesh.
func (m *mesh) Leaf(ctx context.Context, req model.Request, service model.ServiceName, min model.Index, wait time.Duration) (*model.LeafCert, model.Index, error) {
	if wait <= 0 {
		wait = m.agent.settings().DefaultQueryTime
	}
	cert, err := m.agent.leaves.Fetch(ctx, req.Token, service, min, wait)
	if err != nil {
		return nil, 0, err
	}
	return cert, cert.RaftIndexes.ModifyIndex, nil
}

// Proxies implements httpapi.Mesh.
func (m *mesh) Proxies() []xds.ProxyStatus { return m.agent.xds.Statuses() }

// DrainProxy implements httpapi.Mesh: a lease takes the instance out of the healthy set, first in the catalog,
// then at the proxies that dial it.
func (m *mesh) DrainProxy(ctx context.Context, id model.ServiceID) (<-chan string, func(), error) {
	service := m.agent.local.Service(id)
	if service == nil {
		return nil, nil, fault.New(fault.NotFound, "Unknown service ID %q. Ensure that the service ID is passed, not the service name.", id)
	}
	lease, err := m.agent.local.Lease(id)
	if err != nil {
		return nil, nil, err
	}
	stages := make(chan string, 2)
	go func() {
		defer close(stages)
		caller := ctx
		// A little less than the proxy waits itself, so that it hears the end from here.
		ctx, cancel := context.WithTimeout(ctx, m.wait-m.wait/10)
		defer cancel()
		select {
		case <-lease.Synced():
			stages <- "draining"
		case <-ctx.Done():
			if caller.Err() != nil {
				return // the proxy is gone, or this agent ends
			}
			m.log.Warn("the catalog did not hear in time of a proxy that drains", "proxy", id, "waited", m.wait)
			stages <- "waited"
			return
		}
		if m.awaitCallers(ctx, service) {
			stages <- "drained"
		} else {
			stages <- "waited"
		}
	}()
	return stages, lease.Release, nil
}

// awaitCallers returns when nobody dials the instance any more, or when ctx ends, and tells whether that is known. Of
// the proxies of other agents it is not: where there are others, all of the time is waited.
func (m *mesh) awaitCallers(ctx context.Context, service *model.Service) bool {
	host := service.Address
	if host == "" {
		host = m.agent.settings().AdvertiseAddr.String()
	}
	if addr := addrPort(host, service.Port); addr.IsValid() {
		if holding, err := m.agent.xds.EndpointsReleased(ctx, service.MeshName(), addr); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				m.log.Warn("proxies still dial an instance that drains", "proxy", service.ID, "holding", holding)
			}
			return false
		}
	}
	if m.agent.pool.MemberCount() <= 1 {
		return true
	}
	<-ctx.Done()
	return false
}

// follow returns a source that also runs a sidecar's checks as soon as its proxy has connected, so that an
// instance that comes back is not out of the healthy set for a whole interval.
func (m *mesh) follow(s xds.Source) xds.Source { return followed{s, m} }

type followed struct {
	xds.Source
	mesh *mesh
}

// Watch implements xds.Source.
func (f followed) Watch(ctx context.Context, req model.Request, proxy model.InstanceKey) (xds.Subscription, error) {
	s, err := f.Source.Watch(ctx, req, proxy)
	if err == nil {
		go f.mesh.settle(ctx, proxy.ID)
	}
	return s, err
}

// settle runs a sidecar's checks again and again until they pass, as long as its stream is open.
func (m *mesh) settle(ctx context.Context, id model.ServiceID) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if m.settled(id) {
			return
		}
		if err := m.agent.local.KickService(id); err != nil {
			return
		}
	}
}

// settled tells whether what the sidecar's own checks ask for is there; an alias says how the service fares.
func (m *mesh) settled(id model.ServiceID) bool {
	health := m.agent.local.Health(id)
	if health == nil {
		return true
	}
	for _, c := range health.Checks {
		if c.ServiceID == id && c.Type != "alias" && c.Status != model.StatusPassing {
			return false
		}
	}
	return true
}
