package proxy

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// Lease is how a proxy that drains leaves the healthy set before it stops. A restart or crash of the proxy clears it.
type Lease interface {
	// Withdraw asks that no subscriber be given this instance any longer. The channel closes once all of them have the
	// new endpoints. release takes the request back; the proxy calls it only when the drain is given up, and otherwise
	// leaves the lease to end with the process.
	Withdraw(ctx context.Context) (withdrawn <-chan struct{}, release func(), err error)
}

// Config is what a proxy is made of. Times of 0 stand for their defaults.
type Config struct {
	// Service is whom the proxy stands for; denials are logged and counted with it as the destination.
	Service model.ServiceName
	// Source tells the proxy what to do, see ads.New and resource.NewFed.
	Source resource.Source
	// AdminAddr is host:port of /ready, /metrics, /drain and /connections; empty is no admin address.
	AdminAddr string
	// Lease is nil for a proxy that is in no healthy set.
	Lease    Lease
	Logger   hclog.Logger
	Registry *prometheus.Registry // nil for one of its own
	Limits   Limits
	Timing   Timing
}

// Limits bound what strangers and callers can make a proxy hold.
type Limits struct {
	// Connections per listener (default 65536) unless the listener's configuration says so itself.
	Connections int
	// Handshakes that may be under way on all public listeners together (default 2048), and of one address (1024).
	Handshakes, HandshakesPerIP int
}

// Timing is how long a proxy waits for what.
type Timing struct {
	// Handshake bounds the TLS handshake of a caller, and the wait for a verdict (default 5 s).
	Handshake time.Duration
	// Idle closes connections on which nothing moved, where the listener does not say so itself (default 1 h).
	Idle time.Duration
	// Withdraw bounds the wait for subscribers to have the new endpoints (default 2 s).
	Withdraw time.Duration
	// Drain bounds the wait for open connections (default 30 s).
	Drain time.Duration
	// Quiet is how long a connection must have rested before a drain closes it (default 500 ms).
	Quiet time.Duration
	// Suspect is how long an endpoint that did not answer is avoided (default 1 s).
	Suspect time.Duration
}

func orDefault[T comparable](value *T, preset T) {
	var zero T
	if *value == zero {
		*value = preset
	}
}

func (c *Config) complete() error {
	if c.Source == nil {
		return fault.New(fault.Invalid, "a proxy needs a source of its configuration")
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	orDefault(&c.Limits.Connections, 65536)
	orDefault(&c.Limits.Handshakes, 2048)
	orDefault(&c.Limits.HandshakesPerIP, 1024)
	orDefault(&c.Timing.Handshake, 5*time.Second)
	orDefault(&c.Timing.Idle, time.Hour)
	orDefault(&c.Timing.Withdraw, 2*time.Second)
	orDefault(&c.Timing.Drain, 30*time.Second)
	orDefault(&c.Timing.Quiet, 500*time.Millisecond)
	orDefault(&c.Timing.Suspect, time.Second)
	return nil
}
