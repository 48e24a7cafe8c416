package xds

import (
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Resources are what one proxy is told, by type and name. They are immutable.
type Resources struct {
	sets [numTypes]set
	// Problems are the resources that were left out and the options that were ignored, each named.
	Problems []error
	// fromShape are those of Problems that do not concern endpoints.
	fromShape []error
	snapshot  *Snapshot
	// discovered are the names of endpoint resources that the clusters refer to, sorted.
	discovered []string
}

// set is the resources of one type.
type set struct {
	byName map[string]*Resource
	names  []string // sorted
}

func newSet(list []*Resource) set {
	s := set{byName: make(map[string]*Resource, len(list))}
	for _, r := range list {
		s.byName[r.Name] = r
	}
	s.names = slices.Sorted(maps.Keys(s.byName))
	return s
}

func (s set) equal(o set) bool {
	return maps.EqualFunc(s.byName, o.byName, func(a, b *Resource) bool { return a.Version == b.Version })
}

// List returns the resources of a type, sorted by name.
func (r *Resources) List(t Type) []*Resource {
	var out []*Resource
	for _, name := range r.sets[t].names {
		out = append(out, r.sets[t].byName[name])
	}
	return out
}

// Build makes the resources of a snapshot. Of previous, the resources of an earlier snapshot of the same
// proxy or nil, it takes over what cannot have changed. A resource that would not be valid is left out and
// named in Problems; the error is an incomplete snapshot.
func Build(s *Snapshot, previous *Resources) (*Resources, error) {
	if err := s.complete(); err != nil {
		return nil, err
	}
	r := &Resources{snapshot: s}
	if previous != nil && s.sameShape(previous.snapshot) {
		r.sets, r.discovered, r.fromShape = previous.sets, previous.discovered, previous.fromShape
	} else {
		r.buildShape()
	}
	r.Problems = slices.Clone(r.fromShape)
	if err := r.buildSecrets(previous); err != nil {
		return nil, err
	}
	var endpoints []*Resource
	for _, u := range s.Upstreams {
		if u.Endpoints == nil {
			continue
		}
		endpoints = append(endpoints, u.Endpoints.resource)
		r.Problems = append(r.Problems, u.Endpoints.skippedProblems()...)
	}
	r.sets[TypeEndpoint] = newSet(endpoints)
	return r, nil
}

func (r *Resources) buildSecrets(previous *Resources) error {
	s := r.snapshot
	service := s.Proxy.Proxy.DestinationServiceName
	if previous != nil && s.Roots == previous.snapshot.Roots && s.Leaf == previous.snapshot.Leaf &&
		service == previous.snapshot.Proxy.Proxy.DestinationServiceName {
		r.sets[TypeSecret] = previous.sets[TypeSecret]
		return nil
	}
	roots, err := rootsSecret(s.Roots)
	if err != nil {
		return err
	}
	leaf, err := leafSecret(service, s.Leaf)
	if err != nil {
		return err
	}
	r.sets[TypeSecret] = newSet([]*Resource{roots, leaf})
	return nil
}

// buildShape makes clusters, listeners and routes.
func (r *Resources) buildShape() {
	s := r.snapshot
	var b shape
	b.problems = append(b.problems, unserved(s.Proxy)...)
	own := readProxyOptions(s, &b.problems)
	b.cluster(appCluster(s, own, &b.problems))
	b.listener(publicListener(s, own, &b.problems))
	for i := range s.Upstreams {
		b.upstream(s, &s.Upstreams[i], own)
	}
	r.sets[TypeCluster], r.sets[TypeListener], r.sets[TypeRoute] = newSet(b.clusters), newSet(b.listeners), newSet(nil)
	r.fromShape, r.discovered = b.problems, slices.Compact(slices.Sorted(slices.Values(b.discovered)))
}

// unserved names what a proxy is registered with and gets no resources for, so that nobody takes for active
// what is not: some of it guards requests.
func unserved(svc *model.Service) []error {
	var out []error
	for what, there := range map[string]bool{
		"Expose":          len(svc.Proxy.Expose.Paths) > 0 || svc.Proxy.Expose.Checks,
		"Mode":            svc.Proxy.Mode == "transparent",
		"AccessLogs":      svc.Proxy.AccessLogs != nil && svc.Proxy.AccessLogs.Enabled,
		"EnvoyExtensions": len(svc.Proxy.EnvoyExtensions) > 0,
	} {
		if there {
			out = append(out, fault.New(fault.Invalid, "proxy %q: %s is set but has no effect in this version", svc.ID, what))
		}
	}
	slices.SortFunc(out, func(a, b error) int { return compareText(a.Error(), b.Error()) })
	return out
}

// shape collects what buildShape makes.
type shape struct {
	clusters, listeners []*Resource
	discovered          []string
	problems            []error
}

func (b *shape) upstream(s *Snapshot, u *Upstream, own proxyOptions) {
	if u.As.DestinationPeer != "" || (u.As.DestinationType != "" && u.As.DestinationType != "service") {
		b.problems = append(b.problems, fault.New(fault.Invalid, "upstream %q: only services of this cluster are served, not peers or prepared queries",
			upstreamID(u.As)))
		return
	}
	o := readUpstreamOptions(u, &b.problems)
	r, c, err := upstreamCluster(s, u, o, own, &b.problems)
	b.cluster(r, err)
	if err == nil && c.GetType() == clusterv3.Cluster_EDS {
		name := c.GetEdsClusterConfig().GetServiceName()
		if name == "" {
			name = c.Name
		}
		b.discovered = append(b.discovered, name)
	}
	b.listener(upstreamListener(s, u, o, &b.problems))
}

func (b *shape) cluster(r *Resource, err error) { b.add(&b.clusters, r, err) }

func (b *shape) listener(r *Resource, err error) { b.add(&b.listeners, r, err) }

// add keeps the first of two resources of one name: two upstreams to one target share a cluster.
func (b *shape) add(to *[]*Resource, r *Resource, err error) {
	switch {
	case err != nil:
		b.problems = append(b.problems, err)
		return
	case r == nil:
		return
	}
	for _, had := range *to {
		if had.Name == r.Name {
			if had.Version != r.Version {
				b.problems = append(b.problems, fault.New(fault.Invalid, "xDS resource %q is configured twice and differently; the first is used", r.Name))
			}
			return
		}
	}
	*to = append(*to, r)
}
