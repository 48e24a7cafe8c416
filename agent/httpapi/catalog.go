package httpapi

import (
	"cmp"
	"slices"

	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// done answers a write with true.
func (x *exchange) done(a *API) error { return x.json(a, []byte("true")) }

func (a *API) catalogRegister(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	reg, err := definition.DecodeRegistration(body)
	if err != nil {
		return err
	}
	if err := definition.CompleteRegistration(reg); err != nil {
		return err
	}
	// The body alone says where to: ?dc is not looked at, as recorded.
	x.req.Datacenter = reg.Datacenter
	reg.Node.Datacenter = cmp.Or(reg.Datacenter, a.Datacenter)
	if _, err := a.ControlPlane.Apply(x.r.Context(), x.req, &command.Register{Registration: *reg}); err != nil {
		return err
	}
	return x.done(a)
}

func (a *API) catalogDeregister(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	dereg, err := definition.DecodeDeregistration(body)
	if err != nil {
		return err
	}
	x.req.Datacenter = dereg.Datacenter
	if _, err := a.ControlPlane.Apply(x.r.Context(), x.req, &command.Deregister{Deregistration: *dereg}); err != nil {
		return err
	}
	return x.done(a)
}

func (a *API) catalogDatacenters(x *exchange) error {
	list, err := a.ControlPlane.Datacenters(x.r.Context(), x.req)
	if err != nil {
		return err
	}
	if x.cached {
		x.cacheMeta(!a.seen.first(view.Query{Read: "datacenters"}))
	}
	return x.json(a, appendStrings(nil, list))
}

func (a *API) catalogNodes(x *exchange) error {
	const how = showsMode | showsFailure
	keep, err := x.filter(a, a.selectors.node, how)
	if err != nil {
		return err
	}
	r, err := x.read(a, a.Reads.Nodes.Query(view.None{}), how)
	if err != nil {
		return err
	}
	wanted := onRow[*model.Node](keep)
	if pairs := x.nodeMeta(); pairs != nil {
		wanted = both(wanted, func(n *model.Node) bool { return hasMeta(n.Meta, pairs) })
	}
	return list(x, a, r, shapeNodes, func() []*model.Node { return *a.Reads.Nodes.Value(r) }, wanted, appendNode)
}

func (a *API) catalogServices(x *exchange) error {
	const how = showsMode | showsFailure | caches
	keep, err := x.filter(a, a.selectors.serviceNode, how)
	if err != nil {
		return err
	}
	r, err := x.read(a, a.Reads.Services.Query(view.None{}), how)
	if err != nil {
		return err
	}
	all := *a.Reads.Services.Value(r)
	wanted := both(onRow[*model.Instance](keep), x.ofNodeMeta())
	if wanted == nil {
		return x.kept(a, r, shapeServiceNames, func() []byte { return appendServiceNames(nil, all, nil) })
	}
	return x.json(a, appendServiceNames(nil, all, wanted))
}

// appendServiceNames appends the names of services, each with the tags of all its instances.
func appendServiceNames(b []byte, all []model.Instance, wanted func(*model.Instance) bool) []byte {
	tags := map[model.ServiceName][]string{}
	for n := range all {
		i := &all[n]
		if wanted != nil && !wanted(i) {
			continue
		}
		known := tags[i.Service.Service]
		for _, t := range i.Service.Tags {
			if !slices.Contains(known, t) {
				known = append(known, t)
			}
		}
		tags[i.Service.Service] = known
	}
	return appendMap(b, tags, appendStrings[string])
}

func (a *API) catalogService(x *exchange) error { return a.serviceNodes(x, false) }
func (a *API) catalogConnect(x *exchange) error { return a.serviceNodes(x, true) }

func (a *API) serviceNodes(x *exchange, connect bool) error {
	const how = showsMode | showsFailure | caches
	if x.rest == "" {
		return bad("Missing service name")
	}
	keep, err := x.filter(a, a.selectors.serviceNode, how)
	if err != nil {
		return err
	}
	r, err := x.read(a, a.Reads.Service.Query(read.ServiceArgs{Service: model.ServiceName(x.rest), Connect: connect}), how)
	if err != nil {
		return err
	}
	wanted := both(both(onRow[*model.Instance](keep), x.ofNodeMeta()), x.ofTags())
	rows := func() []*model.Instance { return instancesOf(*a.Reads.Service.Value(r)) }
	return list(x, a, r, shapeServiceNodes, rows, wanted,
		func(b []byte, i *model.Instance) []byte { return appendServiceNode(b, i.Node, i.Service) })
}

// nodeOf reads a node with its services, which the filter, if any, thins out.
func (a *API) nodeOf(x *exchange) (r *view.Result, n *model.NodeServices, filtered bool, err error) {
	const how = showsMode | showsFailure
	if x.rest == "" {
		return nil, nil, false, bad("Missing node name")
	}
	keep, err := x.filter(a, a.selectors.nodeService, how)
	if err != nil {
		return nil, nil, false, err
	}
	r, err = x.read(a, a.Reads.Node.Query(read.NodeArgs{Node: model.NodeName(x.rest)}), how)
	if err != nil {
		return nil, nil, false, err
	}
	n = a.Reads.Node.Value(r)
	if keep == nil {
		return r, n, false, nil
	}
	some := *n
	some.Services = nil
	for _, s := range n.Services {
		if keep(s) {
			some.Services = append(some.Services, s)
		}
	}
	return r, &some, true, nil
}

func (a *API) catalogNode(x *exchange) error {
	r, n, filtered, err := a.nodeOf(x)
	switch {
	case err != nil:
		return err
	case filtered:
		return x.json(a, appendNodeWithServices(nil, n))
	default:
		return x.kept(a, r, shapeNode, func() []byte { return appendNodeWithServices(nil, n) })
	}
}

// appendNodeWithServices appends the answer of catalog/node: null for an unknown node.
func appendNodeWithServices(b []byte, n *model.NodeServices) []byte {
	if n.Node == nil {
		return append(b, "null"...)
	}
	services := make(map[model.ServiceID]*model.Service, len(n.Services))
	for _, s := range n.Services {
		services[s.ID] = s
	}
	o := beginObject(b)
	o.key("Node")
	o.b = appendNode(o.b, n.Node)
	o.key("Services")
	o.b = appendMap(o.b, services, appendNodeService)
	return o.end()
}

func (a *API) catalogNodeServices(x *exchange) error {
	r, n, filtered, err := a.nodeOf(x)
	switch {
	case err != nil:
		return err
	case filtered:
		return x.json(a, appendNodeServiceList(nil, n))
	default:
		return x.kept(a, r, shapeNodeServices, func() []byte { return appendNodeServiceList(nil, n) })
	}
}

// appendNodeServiceList appends the answer of catalog/node-services: an unknown node, and no services, are null.
func appendNodeServiceList(b []byte, n *model.NodeServices) []byte {
	o := beginObject(b)
	o.key("Node")
	if n.Node == nil {
		o.b = append(o.b, "null"...)
	} else {
		o.b = appendNode(o.b, n.Node)
	}
	o.key("Services")
	if len(n.Services) == 0 {
		o.b = append(o.b, "null"...)
	} else {
		o.b = appendList(o.b, n.Services, appendNodeService)
	}
	return o.end()
}
