package dns

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// patience is how long a query waits for a view's first result; a client gives up not much later.
const patience = 2 * time.Second

// views reads the catalog of one query through views.
type views struct {
	ctx         context.Context
	source      view.Source
	reads       *read.Set
	known       *known
	onlyPassing bool
}

// nodeIndex is what is looked up among all nodes.
type nodeIndex struct {
	byName map[string]*model.Node
	byAddr map[netip.Addr]*model.Node
}

type nodeIndexKey struct{}

func (v *views) nodes() (*nodeIndex, error) {
	r, err := v.source.Fetch(v.ctx, v.reads.Nodes.Query(view.None{}), 0, patience)
	if err != nil {
		return nil, err
	}
	return r.Memo(nodeIndexKey{}, func() any {
		nodes := *v.reads.Nodes.Value(r)
		index := &nodeIndex{make(map[string]*model.Node, len(nodes)), make(map[netip.Addr]*model.Node, len(nodes))}
		for _, n := range nodes {
			index.byName[model.Fold(n.Node)] = n
			if a, _ := parseAddress(n.Address); a.IsValid() && index.byAddr[a] == nil {
				index.byAddr[a] = n
			}
		}
		return index
	}).(*nodeIndex), nil
}

func (v *views) node(name string) (*model.Node, error) {
	index, err := v.nodes()
	if err != nil {
		return nil, err
	}
	return index.byName[model.Fold(name)], nil
}

// serviceIndex is what is looked up among all services.
type serviceIndex struct {
	names  map[serviceKey]struct{}
	byAddr map[netip.Addr]*model.Service
}

// serviceKey names a service in lower case, by itself or through the mesh.
type serviceKey struct {
	name    string
	connect bool
}

type serviceIndexKey struct{}

func (v *views) services() (*serviceIndex, error) {
	r, err := v.source.Fetch(v.ctx, v.reads.Services.Query(view.None{}), 0, patience)
	if err != nil {
		return nil, err
	}
	return r.Memo(serviceIndexKey{}, func() any {
		index := &serviceIndex{map[serviceKey]struct{}{}, map[netip.Addr]*model.Service{}}
		for _, i := range *v.reads.Services.Value(r) {
			index.names[serviceKey{model.Fold(i.Service.Service), false}] = struct{}{}
			if mesh := i.Service.MeshName(); mesh != "" {
				index.names[serviceKey{model.Fold(mesh), true}] = struct{}{}
			}
			if a, _ := parseAddress(i.Service.Address); a.IsValid() && index.byAddr[a] == nil {
				index.byAddr[a] = i.Service
			}
		}
		return index
	}).(*serviceIndex), nil
}

// selectionKey is the memo of a selection with a view's result.
type selectionKey struct {
	tag         string
	onlyPassing bool
}

func (v *views) service(name, tag string, connect bool) (*selection, error) {
	key := serviceKey{model.Fold(name), connect}
	if !v.known.has(key) {
		index, err := v.services()
		if err != nil {
			return nil, err
		}
		if _, ok := index.names[key]; !ok {
			return nil, nil
		}
		v.known.add(key)
	}
	query := v.reads.Health.Query(read.ServiceArgs{Service: model.ServiceName(key.name), Connect: connect})
	r, err := v.source.Fetch(v.ctx, query, 0, patience)
	if err != nil {
		return nil, err
	}
	instances := *v.reads.Health.Value(r)
	if len(instances) == 0 {
		v.known.remove(key)
		return nil, nil
	}
	memo := selectionKey{model.Fold(tag), v.onlyPassing}
	if tag != "" && !anyTagged(instances, tag) {
		return nil, nil // unknown tags take no place among the memos
	}
	return r.Memo(memo, func() any { return choose(instances, tag, v.onlyPassing) }).(*selection), nil
}

func anyTagged(instances []model.Instance, tag string) bool {
	for n := range instances {
		if tagged(instances[n].Service, tag) {
			return true
		}
	}
	return false
}

func (v *views) owner(a netip.Addr) (*model.Node, *model.Service, error) {
	nodes, err := v.nodes()
	if err != nil {
		return nil, nil, err
	}
	if n := nodes.byAddr[a]; n != nil {
		return n, nil, nil
	}
	services, err := v.services()
	if err != nil {
		return nil, nil, err
	}
	return nil, services.byAddr[a], nil
}

// known remembers names that had instances, so that a query for one goes straight to its view. It is bounded: when
// it is full it starts anew.
type known struct {
	mu    sync.RWMutex
	names map[serviceKey]struct{}
}

const maxKnown = 8192

func newKnown() *known { return &known{names: map[serviceKey]struct{}{}} }

func (k *known) has(key serviceKey) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, ok := k.names[key]
	return ok
}

func (k *known) add(key serviceKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.names) >= maxKnown {
		clear(k.names)
	}
	k.names[key] = struct{}{}
}

func (k *known) remove(key serviceKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.names, key)
}
