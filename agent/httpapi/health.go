package httpapi

import (
	"strconv"

	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

func (a *API) healthNode(x *exchange) error {
	if x.rest == "" {
		return bad("Missing node name")
	}
	q := a.Reads.NodeChecks.Query(read.NodeArgs{Node: model.NodeName(x.rest)})
	return a.checks(x, q, func(r *view.Result) read.Checks { return *a.Reads.NodeChecks.Value(r) })
}

func (a *API) healthChecks(x *exchange) error {
	if x.rest == "" {
		return bad("Missing service name")
	}
	q := a.Reads.ServiceChecks.Query(read.ServiceArgs{Service: model.ServiceName(x.rest)})
	return a.checks(x, q, func(r *view.Result) read.Checks { return *a.Reads.ServiceChecks.Value(r) })
}

func (a *API) healthState(x *exchange) error {
	if x.rest == "" {
		return bad("Missing check state")
	}
	q := a.Reads.ChecksInState.Query(read.StateArgs{Status: model.Status(x.rest)})
	return a.checks(x, q, func(r *view.Result) read.Checks { return *a.Reads.ChecksInState.Value(r) })
}

// checks answers with a list of checks.
func (a *API) checks(x *exchange, q view.Query, value func(*view.Result) read.Checks) error {
	const how = showsMode | showsFailure
	keep, err := x.filter(a, a.selectors.check, how)
	if err != nil {
		return err
	}
	r, err := x.read(a, q, how)
	if err != nil {
		return err
	}
	wanted := onRow[*model.Check](keep)
	if pairs := x.nodeMeta(); pairs != nil {
		ofNode, err := a.nodesWith(x, pairs)
		if err != nil {
			return err
		}
		wanted = both(wanted, func(c *model.Check) bool { return ofNode[model.Fold(c.Node)] })
	}
	return list(x, a, r, shapeChecks, func() []*model.Check { return value(r) }, wanted, appendCatalogCheck)
}

// nodesWith returns the nodes, by folded name, that have the metadata. A check does not know its node's.
func (a *API) nodesWith(x *exchange, pairs []metaPair) (map[string]bool, error) {
	req := x.req
	req.Read.MinIndex = 0
	r, _, err := a.ControlPlane.Read(x.r.Context(), req, a.Reads.Nodes.Query(view.None{}), FromServer)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, n := range *a.Reads.Nodes.Value(r) {
		if hasMeta(n.Meta, pairs) {
			found[model.Fold(n.Node)] = true
		}
	}
	return found, nil
}

func (a *API) healthService(x *exchange) error { return a.health(x, false) }
func (a *API) healthConnect(x *exchange) error { return a.health(x, true) }

func (a *API) health(x *exchange, connect bool) error {
	const how = showsMode | caches | streams
	if x.rest == "" {
		return bad("Missing service name")
	}
	passing, err := x.passing()
	if err != nil {
		return err
	}
	keep, err := x.filter(a, a.selectors.health, how)
	if err != nil {
		return err
	}
	r, err := x.read(a, a.Reads.Health.Query(read.ServiceArgs{Service: model.ServiceName(x.rest), Connect: connect}), how)
	if err != nil {
		return err
	}
	rows := func() []*model.Instance { return instancesOf(*a.Reads.Health.Value(r)) }
	wanted := both(both(onRow[*model.Instance](keep), x.ofNodeMeta()), x.ofTags())
	switch {
	case wanted == nil && passing:
		return x.kept(a, r, shapeHealthPassing, func() []byte {
			return appendSome(nil, r, shapeHealth, rows(), isPassing, appendHealthEntry)
		})
	case passing:
		wanted = both(isPassing, wanted)
	}
	return list(x, a, r, shapeHealth, rows, wanted, appendHealthEntry)
}

// passing reads ?passing: alone or a truth value.
func (x *exchange) passing() (bool, error) {
	v, ok := x.params.lookup("passing")
	if !ok || v == "" {
		return ok, nil
	}
	is, err := strconv.ParseBool(v)
	if err != nil {
		return false, bad("Invalid value for ?passing").WithHint("passing is true or false, not %q", v)
	}
	return is, nil
}

func isPassing(i *model.Instance) bool {
	for _, c := range i.Checks {
		if c.Status != model.StatusPassing {
			return false
		}
	}
	return true
}
