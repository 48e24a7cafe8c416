package xds

import (
	"context"

	"github.com/lictor-mesh/lictor/model"
)

// Source is where the server learns about proxies: the agent's own views.
type Source interface {
	// Watch opens a subscription to what the named proxy is made of. The node of the key is empty for a
	// proxy of this agent. The request carries the caller's token. Watch does not wait for the proxy to
	// be registered. Its error is one of package fault: Permission when the token may not act for the
	// proxy's service, NotFound when the token does not exist, others as they read.
	Watch(ctx context.Context, req model.Request, proxy model.InstanceKey) (Subscription, error)
}

// Subscription follows one proxy. It is used by one goroutine.
type Subscription interface {
	// Current returns the newest snapshot and a channel that is closed when it is superseded. The snapshot
	// is nil as long as the proxy is not registered, or something that it needs is not known yet. An error,
	// for instance a right that was withdrawn, ends the stream.
	Current() (*Snapshot, <-chan struct{}, error)
	// Close ends the subscription.
	Close()
}
