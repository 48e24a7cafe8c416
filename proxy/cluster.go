package proxy

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/balance"
	"github.com/lictor-mesh/lictor/proxy/carry"
	"github.com/lictor-mesh/lictor/proxy/resource"
	"github.com/lictor-mesh/lictor/proxy/tunnel"
)

// maxAttempts bounds how many endpoints one connection tries.
const maxAttempts = 4

// cluster is a destination at run time. It stays the same object while its name is configured, so that the counters
// of its endpoints outlive updates.
type cluster struct {
	name string
	p    *Proxy
	spec atomic.Pointer[clusterSpec]
	set  atomic.Pointer[balance.Set]
	open atomic.Int64
	// arrived is closed when the first endpoints are known; none at all may be among them.
	arrived   chan struct{}
	arriveOne sync.Once
	complaint limiter
}

// clusterSpec is the current configuration of a cluster. Client is nil for the local application.
type clusterSpec struct {
	res    *resource.Cluster
	client *tunnel.Client
}

func newCluster(p *Proxy, name string) *cluster {
	c := &cluster{name: name, p: p, arrived: make(chan struct{})}
	c.set.Store(balance.NewSet(nil, nil))
	return c
}

// update takes a new configuration and endpoints; unchanged pointers are skipped. Endpoints are nil until they are
// known.
func (c *cluster) update(res *resource.Cluster, endpoints *resource.Endpoints, was *resource.Endpoints) error {
	old := c.spec.Load()
	if old == nil || old.res != res {
		spec := &clusterSpec{res: res}
		if res.TLS != nil {
			var err error
			if spec.client, err = tunnel.NewClient(c.p.trust.credentials(res.TLS.Credentials), res.TLS.Expected, res.TLS.ServerName, res.TLS.ALPN); err != nil {
				return err
			}
		}
		c.spec.Store(spec)
		if res.EndpointsName == "" {
			c.members(res.Static)
		}
	}
	if res.EndpointsName != "" && endpoints != nil && (endpoints != was || old == nil || old.res.EndpointsName != res.EndpointsName) {
		c.members(endpoints.Members)
	}
	return nil
}

func (c *cluster) members(m []balance.Member) {
	c.set.Store(balance.NewSet(c.set.Load(), m))
	c.arriveOne.Do(func() { close(c.arrived) })
}

// reached is a connection to an endpoint, ready to carry.
type reached struct {
	end      *carry.End
	endpoint *balance.Endpoint
	cluster  *cluster
}

// release gives back what connect counted.
func (r *reached) release() {
	r.endpoint.Release()
	r.cluster.open.Add(-1)
}

// connect reaches an endpoint that accepts. It tries another when one fails before it confirmed, within the
// cluster's connect timeout for all of them together.
func (c *cluster) connect(ctx context.Context) (*reached, error) {
	spec := c.spec.Load()
	deadline := time.Now().Add(spec.res.ConnectTimeout)
	select {
	case <-c.arrived:
	default:
		if err := c.await(ctx, spec.res.ConnectTimeout); err != nil {
			return nil, err
		}
	}
	if n := c.open.Add(1); spec.res.MaxConnections > 0 && n > int64(spec.res.MaxConnections) {
		c.open.Add(-1)
		return nil, fault.New(fault.RateLimited, "cluster %s has %d open connections, as many as it may", c.name, n-1)
	}
	r, err := c.try(spec, deadline)
	if err != nil {
		c.open.Add(-1)
	}
	return r, err
}

// await waits for the first endpoints.
func (c *cluster) await(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.arrived:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Canceled, "the proxy stops")
	case <-t.C:
		return fault.New(fault.Unavailable, "the endpoints of %s are not known yet", c.name)
	}
}

func (c *cluster) try(spec *clusterSpec, deadline time.Time) (*reached, error) {
	var tried [maxAttempts]*balance.Endpoint
	var last error
	for i := range tried {
		now := time.Now()
		if !now.Before(deadline) {
			break
		}
		e := c.set.Load().Pick(rand.Uint64N, now, tried[:i])
		if e == nil {
			break
		}
		tried[i] = e
		e.Acquire()
		// An endpoint that swallows packets must leave time for another.
		budget := deadline.Sub(now)
		if c.set.Load().Len() > i+1 {
			budget = max(budget/3, min(budget, 250*time.Millisecond))
		}
		end, err := c.reach(spec, e, now.Add(budget))
		if err == nil {
			e.Trust()
			return &reached{end, e, c}, nil
		}
		e.Release()
		last = err
		if fault.Is(err, fault.Permission) {
			return nil, err
		}
		e.Suspect(time.Now().Add(c.p.timing.Suspect))
	}
	if last == nil {
		last = fault.New(fault.Unavailable, "%s has no healthy endpoint", c.name)
	}
	return nil, last
}

// reach makes one attempt. Its error is of kind Permission only if the endpoint said that an intention denies.
func (c *cluster) reach(spec *clusterSpec, e *balance.Endpoint, deadline time.Time) (*carry.End, error) {
	raw, err := (&net.Dialer{Deadline: deadline}).Dial(e.Address.Network, e.Address.Text)
	if err != nil {
		return nil, c.failed(e, "connect", err)
	}
	if spec.client == nil {
		return carry.Plain(raw), nil
	}
	conn, err := spec.client.Handshake(raw, time.Until(deadline))
	if err != nil {
		_ = raw.Close()
		return nil, c.failed(e, "handshake", err)
	}
	if !conn.Native {
		return conn.End(), nil
	}
	verdict, err := conn.Await(time.Until(deadline))
	if err != nil {
		_ = raw.Close()
		return nil, c.failed(e, "verdict", err)
	}
	if err := verdict.Refusal(); err != nil {
		_ = raw.Close()
		_ = c.failed(e, verdict.Code.String(), err)
		return nil, err
	}
	return conn.End(), nil
}

// failed counts and logs a failed attempt. What comes back is never of kind Permission: a TLS failure is about this
// endpoint, and another may do.
func (c *cluster) failed(e *balance.Endpoint, kind string, err error) error {
	c.p.metrics.attempts.WithLabelValues(c.name, kind).Inc()
	c.complaint.log(time.Now(), c.p.log.Warn, "an endpoint was not reached", "cluster", c.name, "endpoint", e.Address.Text, "at", kind, "error", err)
	return fault.New(fault.Unavailable, "%s %s of %s: %v", kind, e.Address.Text, c.name, err)
}
