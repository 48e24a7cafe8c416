package xds

import (
	"cmp"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

func compareText(a, b string) int { return cmp.Compare(a, b) }

// bounds are the limits of one conversation.
type bounds struct {
	// names is the most names that a subscription may hold.
	names int
	// responseBytes is about what one response may hold; a single resource may be larger.
	responseBytes int
	// orderWait bounds for how long listeners and routes wait for clusters, endpoints and secrets.
	orderWait time.Duration
	// ackWait is how long a response without an answer holds back the next one of its type.
	ackWait time.Duration
}

// conversation is the server's side of one delta stream. It is pure: requests, resources and the time go
// in, responses come out.
//
// Invariants: per type at most one response without an answer (within ackWait). A listener or route of
// generation g is sent only when every response with the secrets, clusters and endpoints of g was answered,
// or orderWait has passed. A removal of a cluster is sent only when listeners and routes have nothing left to
// say, and those of endpoints and secrets when clusters have not either.
type conversation struct {
	bounds    bounds
	subs      [numTypes]subscription
	resources *Resources
	// generation counts the updates; shape is the generation in which listeners or routes last changed.
	generation, shape uint64
	// waiting is since when listeners or routes wait for their turn; zero when they do not.
	waiting time.Time
	nonce   uint64
}

func newConversation(b bounds) *conversation {
	c := &conversation{bounds: b}
	for t := range numTypes {
		c.subs[t].kind = t
	}
	return c
}

// answered is the ACK or NACK that a request was.
type answered struct {
	names []string
	// refusal is the reason of a NACK, as the client gave it.
	refusal string
	nack    bool
}

// request takes a client's message of type t. ok tells that it answered the newest response of the type.
// An error ends the stream.
func (c *conversation) request(t Type, req *discoveryv3.DeltaDiscoveryRequest, now time.Time) (a answered, ok bool, err error) {
	s := &c.subs[t]
	if !s.started {
		// A nonce in the first request of a type is of an earlier stream.
		return a, false, s.begin(req, c.bounds.names)
	}
	a.nack, a.refusal = req.GetErrorDetail() != nil, req.GetErrorDetail().GetMessage()
	a.names, ok = s.answer(req.GetResponseNonce(), a.nack, now)
	return a, ok, s.change(req, c.bounds.names)
}

// update takes newer resources.
func (c *conversation) update(r *Resources) {
	c.generation++
	for t := range numTypes {
		if c.resources != nil && c.resources.sets[t].equal(r.sets[t]) {
			continue
		}
		c.subs[t].dirty = true
		if t >= TypeListener {
			c.shape = c.generation
		}
	}
	c.resources = r
}

// next returns a response that is to be sent now, or nil; call it until it is nil. wake is when to call it
// again if nothing happens before; zero for never.
func (c *conversation) next(now time.Time) (resp *discoveryv3.DeltaDiscoveryResponse, wake time.Time) {
	if c.resources == nil {
		return nil, wake
	}
	for t := TypeSecret; t <= TypeEndpoint; t++ {
		d := c.diff(t)
		d.removed = nil
		if resp = c.respond(t, d, now, &wake); resp != nil {
			return resp, wake
		}
	}
	if resp = c.nextShape(now, &wake); resp != nil {
		return resp, wake
	}
	return c.nextRemoval(now, &wake), wake
}

func (c *conversation) diff(t Type) difference { return c.subs[t].diff(c.resources.sets[t]) }

// nextShape sends listeners and routes once what they refer to is there.
func (c *conversation) nextShape(now time.Time, wake *time.Time) *discoveryv3.DeltaDiscoveryResponse {
	work := false
	for t := TypeListener; t <= TypeRoute; t++ {
		d := c.diff(t)
		if d.empty() && !c.subs[t].greet {
			continue
		}
		work = true
		if !c.inOrder(now) {
			if c.waiting.IsZero() {
				c.waiting = now
			}
			earliest(wake, c.waiting.Add(c.bounds.orderWait))
			return nil
		}
		if resp := c.respond(t, d, now, wake); resp != nil {
			return resp
		}
	}
	if !work {
		c.waiting = time.Time{}
	}
	return nil
}

// inOrder tells that what the newest listeners and routes refer to was answered, or that they waited long
// enough.
func (c *conversation) inOrder(now time.Time) bool {
	if !c.waiting.IsZero() && !now.Before(c.waiting.Add(c.bounds.orderWait)) {
		return true
	}
	for t := TypeSecret; t <= TypeEndpoint; t++ {
		s := &c.subs[t]
		if !s.started {
			continue
		}
		d := c.diff(t)
		quiet := len(d.add) == 0 && len(d.absent) == 0 && !c.busy(t, now)
		if !quiet && s.settled < c.shape {
			return false
		}
	}
	return c.endpointsAsked()
}

// endpointsAsked tells that the client has asked for the endpoints of every cluster that it was told of. One
// that refused a cluster need not.
func (c *conversation) endpointsAsked() bool {
	clusters, endpoints := &c.subs[TypeCluster], &c.subs[TypeEndpoint]
	if !clusters.started {
		return true
	}
	for _, o := range clusters.offered {
		if o.refused {
			return true
		}
	}
	for _, name := range c.resources.discovered {
		if !endpoints.wants(name) {
			return false
		}
	}
	return true
}

// nextRemoval takes away what nothing refers to any more.
func (c *conversation) nextRemoval(now time.Time, wake *time.Time) *discoveryv3.DeltaDiscoveryResponse {
	for _, before := range []Type{TypeListener, TypeRoute} {
		if !c.quiet(before, now, wake) {
			return nil
		}
	}
	for _, t := range []Type{TypeCluster, TypeEndpoint, TypeSecret} {
		d := difference{removed: c.diff(t).removed}
		if resp := c.respond(t, d, now, wake); resp != nil {
			return resp
		}
		if t == TypeCluster && !c.quiet(t, now, wake) {
			return nil
		}
	}
	return nil
}

// busy tells that a response of the type awaits its answer.
func (c *conversation) busy(t Type, now time.Time) bool {
	s := &c.subs[t]
	return s.pending && now.Before(s.last.at.Add(c.bounds.ackWait))
}

// quiet tells that the client has answered, and that there is nothing more to tell.
func (c *conversation) quiet(t Type, now time.Time, wake *time.Time) bool {
	s := &c.subs[t]
	if c.busy(t, now) {
		earliest(wake, s.last.at.Add(c.bounds.ackWait))
		return false
	}
	return !s.started || c.diff(t).empty()
}

// respond makes the response for a difference, as much of it as fits.
func (c *conversation) respond(t Type, d difference, now time.Time, wake *time.Time) *discoveryv3.DeltaDiscoveryResponse {
	s := &c.subs[t]
	if d.empty() && !(s.greet && s.started) {
		return nil
	}
	if c.busy(t, now) {
		earliest(wake, s.last.at.Add(c.bounds.ackWait))
		return nil
	}
	generation := c.generation
	resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: t.URL()}
	size := 0
	for i, r := range d.add {
		if size += len(r.Body.Value); i > 0 && size > c.bounds.responseBytes {
			d.add = d.add[:i]
			generation-- // the rest follows: this one does not complete the generation
			break
		}
		resp.Resources = append(resp.Resources, r.wire)
	}
	resp.RemovedResources = append(append(resp.RemovedResources, d.absent...), d.removed...)
	c.nonce++
	resp.Nonce = strconv.FormatUint(c.nonce, 16)
	s.tell(d, resp.Nonce, generation, now)
	if t >= TypeListener {
		c.waiting = time.Time{}
	}
	return resp
}

// earliest keeps the earlier of two times, of which zero is never.
func earliest(wake *time.Time, at time.Time) {
	if wake.IsZero() || at.Before(*wake) {
		*wake = at
	}
}
