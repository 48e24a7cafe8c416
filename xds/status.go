package xds

import (
	"cmp"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// ProxyStatus is what is known of a proxy's stream.
type ProxyStatus struct {
	Proxy model.InstanceKey
	// Peer is the network address of the client.
	Peer           string
	Connected      bool
	ConnectedSince time.Time
	// Waiting tells that nothing could be sent yet: the proxy is not registered, or its certificate or
	// upstreams are not known.
	Waiting bool
	// Types has one entry for each type that the client asked for.
	Types []TypeStatus
	// LastNACK is the newest refusal, of this stream or of the proxy's former one.
	LastNACK *NACK
	// Problems are the resources that were left out and the options that were ignored.
	Problems []string
}

// TypeStatus is the state of one type of resource on a stream.
type TypeStatus struct {
	Type     Type
	Wildcard bool
	// Names is how many names were asked for beside the wildcard.
	Names int
	// Pending tells that the newest response has no answer yet.
	Pending bool
	LastACK time.Time
	// Acked has the version last accepted of each resource, by name.
	Acked map[string]string
}

// NACK is a refusal of a response.
type NACK struct {
	Type Type
	// Names are the resources of the response, of which one or more were refused.
	Names []string
	// Reason is the client's own text.
	Reason string
	Time   time.Time
}

// status describes the conversation's types.
func (c *conversation) status() []TypeStatus {
	var out []TypeStatus
	for t := range numTypes {
		s := &c.subs[t]
		if !s.started {
			continue
		}
		ts := TypeStatus{Type: t, Wildcard: s.wildcard, Names: len(s.names), Pending: s.pending, LastACK: s.lastACK,
			Acked: make(map[string]string)}
		for name, o := range s.offered {
			if o.acked != nil {
				ts.Acked[name] = o.acked.Version
			}
		}
		out = append(out, ts)
	}
	return out
}

// Status returns the state of the proxies with that service ID, connected ones first, then the newest: at
// most one for each stream, and the last state of a proxy that left after a NACK.
func (s *Server) Status(proxy model.ServiceID) []ProxyStatus {
	all := s.Statuses()
	return slices.DeleteFunc(all, func(p ProxyStatus) bool { return p.Proxy.ID != proxy })
}

// Statuses returns the states of all proxies as Status does, sorted by service ID first.
func (s *Server) Statuses() []ProxyStatus {
	s.mu.Lock()
	sessions := make([]*session, 0, len(s.sessions))
	for x := range s.sessions {
		sessions = append(sessions, x)
	}
	var out []ProxyStatus
	for _, p := range s.departed {
		out = append(out, p)
	}
	s.mu.Unlock()
	for _, x := range sessions {
		if p := x.status(); p.Proxy.ID != "" {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b ProxyStatus) int {
		return cmp.Or(cmp.Compare(a.Proxy.ID, b.Proxy.ID), cmp.Compare(rank(a), rank(b)), b.ConnectedSince.Compare(a.ConnectedSince))
	})
	return out
}

func rank(p ProxyStatus) int {
	if p.Connected {
		return 0
	}
	return 1
}

// maxDeparted bounds how many proxies that left after a NACK are remembered.
const maxDeparted = 256

// depart remembers a proxy that left with a NACK behind it. Called with s.mu held.
func (s *Server) depart(p ProxyStatus) {
	if p.LastNACK == nil {
		return
	}
	if len(s.departed) >= maxDeparted {
		var oldest model.InstanceKey
		var at time.Time
		for k, d := range s.departed {
			if at.IsZero() || d.LastNACK.Time.Before(at) {
				oldest, at = k, d.LastNACK.Time
			}
		}
		delete(s.departed, oldest)
	}
	p.Connected = false
	s.departed[p.Proxy] = p
}
