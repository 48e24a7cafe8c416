package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// drainPath is where an agent takes a proxy out of the healthy set for as long as the request lasts.
const drainPath = "/v1/agent/proxy/drain/"

// The lines that the agent sends on drainPath.
const (
	lineDraining = "draining" // the catalog shows the proxy as not healthy
	lineDrained  = "drained"  // everybody who knew it has newer endpoints
	lineWaited   = "waited"   // whoever knew it has had the time to have newer endpoints; it is not known of all
)

// drainLease has the agent hold a proxy out of the healthy set. It implements proxy.Lease by an open request: however
// this process ends, the agent sees it close and takes the proxy back in, which persisted maintenance would not.
type drainLease struct {
	cl  *client
	who *registered
	log hclog.Logger
}

// Withdraw implements proxy.Lease. It returns once the agent has taken the lease; ctx bounds that wait only.
func (l *drainLease) Withdraw(ctx context.Context) (withdrawn <-chan struct{}, release func(), err error) {
	id := l.who.known().id
	if id == "" {
		return nil, nil, errors.New("there is no registration to take out of the healthy set")
	}
	held, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	resp, err := l.cl.open(held, http.MethodPut, drainPath+url.PathEscape(string(id)))
	if err != nil {
		stop()
		cancel()
		return nil, nil, fmt.Errorf("asking the agent to drain %s: %w", id, err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		_ = resp.Body.Close()
		stop()
		cancel()
		return nil, nil, fmt.Errorf("asking the agent to drain %s: Unexpected response code: %d (%s)", id, resp.StatusCode, bytes.TrimSpace(text))
	}
	if !stop() { // ctx ended while the answer came: the request is already canceled
		_ = resp.Body.Close()
		return nil, nil, context.Cause(ctx)
	}
	done := make(chan struct{})
	go func() {
		// Ends when the agent closes the answer, when release cancels it, or with the process.
		defer resp.Body.Close()
		l.follow(resp.Body, done)
	}()
	return done, cancel, nil
}

// maxRefusal bounds what is shown of an agent's refusal, in bytes.
const maxRefusal = 1 << 10

// follow reads what becomes of the lease, and closes done once the subscribers have moved on. An answer that ends
// before leaves done open: the proxy then waits for as long as it is told to.
func (l *drainLease) follow(answer io.Reader, done chan<- struct{}) {
	over := sync.OnceFunc(func() { close(done); done = nil })
	lines := bufio.NewScanner(answer)
	for lines.Scan() {
		switch lines.Text() {
		case lineDraining:
			l.log.Info("the catalog shows this proxy as draining")
		case lineDrained:
			l.log.Info("no subscriber has this proxy among its endpoints any longer")
			over()
		case lineWaited:
			l.log.Info("subscribers have had the time to get other endpoints")
			over()
		}
	}
	if done != nil && !errors.Is(lines.Err(), context.Canceled) {
		l.log.Warn("the agent ended the lease before all subscribers had new endpoints", "error", cmp.Or(lines.Err(), io.EOF))
	}
}
