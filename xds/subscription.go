package xds

import (
	"slices"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/lictor-mesh/lictor/model/fault"
)

// wildcardName subscribes to every resource of a type.
const wildcardName = "*"

// subscription is one client's state for one type of resource: what it wants and what it was told.
type subscription struct {
	kind Type
	// started is set by the first request for the type.
	started  bool
	wildcard bool
	names    map[string]struct{}
	offered  map[string]*offer
	// dirty says that there may be something to tell.
	dirty bool
	// greet says that a first response is due even if it is empty: a client that knows nothing of a
	// wildcard type waits for it.
	greet bool
	// last is the newest response, and pending tells that it has no answer yet.
	last    *sent
	pending bool
	// settled is the newest generation that the client has answered.
	settled uint64
	lastACK time.Time
}

// offer is what a client was told about one resource, or that there is none.
type offer struct {
	// version was sent last; "" says that there is no such resource.
	version string
	// due forces the resource to be sent again.
	due bool
	// refused resources go along with the next change: a client may have dropped a whole response for
	// one bad resource in it.
	refused bool
	// unknown is a resource that the client brought from an earlier stream in a version that is not ours.
	unknown     bool
	sent, acked *Resource
}

// sent is a response that went out.
type sent struct {
	nonce      string
	generation uint64
	at         time.Time
	names      []string
}

// difference is what a client is to be told.
type difference struct {
	add []*Resource
	// absent are names asked for that do not exist, removed those that the client has and should drop.
	absent, removed []string
}

func (s *subscription) wants(name string) bool {
	if s.wildcard {
		return true
	}
	_, named := s.names[name]
	return named
}

// begin handles what only the first request for a type says.
func (s *subscription) begin(req *discoveryv3.DeltaDiscoveryRequest, maxNames int) error {
	s.started, s.dirty = true, true
	s.names, s.offered = make(map[string]struct{}), make(map[string]*offer)
	// An empty first subscription is the older way to ask for everything, of these types only.
	if len(req.GetResourceNamesSubscribe()) == 0 && (s.kind == TypeCluster || s.kind == TypeListener) {
		s.wildcard = true
	}
	if err := s.change(req, maxNames); err != nil {
		return err
	}
	initial := req.GetInitialResourceVersions()
	if len(initial) > maxNames {
		return tooManyNames(s.kind, maxNames)
	}
	for name, version := range initial {
		if s.wants(name) && version != "" {
			s.offered[name] = &offer{version: version, unknown: true}
		}
	}
	s.greet = s.wildcard && len(initial) == 0
	return nil
}

func tooManyNames(t Type, most int) error {
	return fault.New(fault.RateLimited, "more than %d %s names in one subscription", most, t)
}

// change subscribes and unsubscribes.
func (s *subscription) change(req *discoveryv3.DeltaDiscoveryRequest, maxNames int) error {
	for _, name := range req.GetResourceNamesSubscribe() {
		s.dirty = true
		if name == wildcardName {
			s.wildcard = true
			continue
		}
		// Asking again for what one has is a request to have it sent again.
		if o := s.offered[name]; o != nil {
			o.due = true
		}
		s.names[name] = struct{}{}
		if len(s.names) > maxNames {
			return tooManyNames(s.kind, maxNames)
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		s.unsubscribe(name)
	}
	return nil
}

func (s *subscription) unsubscribe(name string) {
	s.dirty = true
	if name == wildcardName {
		s.wildcard = false
		for known := range s.offered {
			if !s.wants(known) {
				delete(s.offered, known)
			}
		}
		return
	}
	delete(s.names, name)
	switch o := s.offered[name]; {
	case !s.wildcard:
		delete(s.offered, name)
	case o != nil:
		// The wildcard still covers the name: the client, which dropped it, must hear of it again.
		o.due = true
	}
}

// answer handles the ACK or NACK in a request and returns the names that it is about. ok is false for a
// request that answers nothing, or a response that is not the newest.
func (s *subscription) answer(nonce string, refused bool, now time.Time) (names []string, ok bool) {
	if nonce == "" || s.last == nil || s.last.nonce != nonce || !s.pending {
		return nil, false
	}
	s.pending, s.settled = false, max(s.settled, s.last.generation)
	if !refused {
		s.lastACK = now
	}
	for _, name := range s.last.names {
		o := s.offered[name]
		if o == nil {
			continue
		}
		o.refused = refused
		if !refused {
			o.acked, o.unknown = o.sent, false
		}
	}
	return s.last.names, true
}

// diff compares what the client was told with what there is.
func (s *subscription) diff(have set) difference {
	var d difference
	if !s.started || !s.dirty {
		return d
	}
	s.adopt(have)
	if s.wildcard {
		for _, name := range have.names {
			s.compare(&d, have.byName[name])
		}
	} else {
		for name := range s.names {
			if r := have.byName[name]; r != nil {
				s.compare(&d, r)
			}
		}
	}
	for name := range s.names {
		if o := s.offered[name]; have.byName[name] == nil && (o == nil || o.due) {
			d.absent = append(d.absent, name)
		}
	}
	for name, o := range s.offered {
		_, named := s.names[name]
		if have.byName[name] == nil && (o.version != "" && !(named && o.due) || o.due && !named) {
			d.removed = append(d.removed, name)
		}
	}
	if len(d.add) > 0 {
		s.addRefused(&d, have)
	}
	slices.SortFunc(d.add, func(a, b *Resource) int { return compareText(a.Name, b.Name) })
	slices.Sort(d.absent)
	slices.Sort(d.removed)
	s.dirty = !d.empty()
	return d
}

// adopt recognizes resources that the client brought from an earlier stream and that are still current.
func (s *subscription) adopt(have set) {
	for name, o := range s.offered {
		if r := have.byName[name]; o.unknown && r != nil && o.sent == nil && o.version == r.Version {
			o.sent, o.acked, o.unknown = r, r, false
		}
	}
}

func (s *subscription) compare(d *difference, r *Resource) {
	if o := s.offered[r.Name]; o == nil || o.due || o.version != r.Version {
		d.add = append(d.add, r)
	}
}

func (s *subscription) addRefused(d *difference, have set) {
	for name, o := range s.offered {
		if r := have.byName[name]; o.refused && !o.due && r != nil && o.version == r.Version {
			d.add = append(d.add, r)
		}
	}
}

func (d difference) empty() bool { return len(d.add) == 0 && len(d.absent) == 0 && len(d.removed) == 0 }

// tell records that the client is being told.
func (s *subscription) tell(d difference, nonce string, generation uint64, now time.Time) {
	out := &sent{nonce: nonce, generation: generation, at: now}
	for _, r := range d.add {
		o := s.offered[r.Name]
		if o == nil {
			o = new(offer)
			s.offered[r.Name] = o
		}
		o.version, o.sent, o.due, o.refused = r.Version, r, false, false
		out.names = append(out.names, r.Name)
	}
	for _, name := range slices.Concat(d.absent, d.removed) {
		if _, named := s.names[name]; named {
			o := s.offered[name]
			if o == nil {
				o = new(offer)
				s.offered[name] = o
			}
			o.version, o.sent, o.due, o.refused = "", nil, false, false
		} else {
			delete(s.offered, name)
		}
		out.names = append(out.names, name)
	}
	s.last, s.pending, s.greet = out, true, false
	s.dirty = true // until a comparison finds nothing
}
