package checks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// aliasRetry is the pause after another node's checks could not be read.
const aliasRetry = 5 * time.Second

// newAlias makes a check that mirrors a service or a node. What is on this host is mirrored by its owner
// with Mirror, in the same step in which a mirrored check changes, so that the check itself has nothing to do.
func newAlias(s Spec, env *Env) (Check, error) {
	if d := &s.Definition; Elsewhere(d, env.Node) {
		return &remoteAlias{def: d, env: env, report: s.Report}, nil
	}
	return idle{}, nil
}

// Elsewhere tells whether the alias d mirrors another node than this one.
func Elsewhere(d *model.CheckDefinition, node model.NodeName) bool {
	return d.AliasNode != "" && model.Fold(d.AliasNode) != model.Fold(node)
}

type idle struct{}

// Run implements Check.
func (idle) Run(ctx context.Context) { <-ctx.Done() }

type remoteAlias struct {
	def    *model.CheckDefinition
	env    *Env
	report func(Result)
}

// Run implements Check.
func (a *remoteAlias) Run(ctx context.Context) {
	if a.env.Remote == nil {
		a.report(Result{Status: model.StatusCritical, Settled: true,
			Output: fmt.Sprintf("Checks of node %s cannot be read by this agent", a.def.AliasNode)})
		<-ctx.Done()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var changed <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-changed:
		}
		var list []*model.Check
		var err error
		list, changed, err = a.env.Remote.NodeChecks(ctx, a.def.AliasNode)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// What was last known of the other node stays: a server that does not answer says nothing about it.
			changed = nil
			timer.Reset(aliasRetry)
			if !fault.Is(err, fault.NotFound) {
				a.env.Log.Warn("cannot read the checks of an aliased node", "check", a.def.CheckID, "node", a.def.AliasNode, "error", err)
				continue
			}
		}
		r, _ := Mirror(a.def, elsewhere(list))
		r.Settled = true
		a.report(r)
	}
}

// elsewhere is another node, of which only the checks are known: a service without checks is healthy there.
func elsewhere(list []*model.Check) Mirrored {
	return Mirrored{
		Checks: func(id model.ServiceID) []*model.Check {
			return slices.DeleteFunc(slices.Clone(list), func(c *model.Check) bool { return c.ServiceID != id })
		},
		HasService: func(model.ServiceID) bool { return list != nil },
	}
}

// Mirrored is what an alias looks at: one node.
type Mirrored struct {
	// Checks returns the checks of a service, or those of the node itself for "", by CheckID.
	Checks func(model.ServiceID) []*model.Check
	// Aliases are the definitions of those checks that are aliases within the same node.
	Aliases map[model.CheckID]*model.CheckDefinition
	// HasService tells whether the node has a service.
	HasService func(model.ServiceID) bool
}

// Mirror returns what the alias d shows: the worst of the checks of its service and of the node, or of the
// node alone. Aliases on the way are followed to the checks behind them, each once, so that aliases of each
// other cannot hold each other down, and none counts itself. It also returns the checks it rests on.
func Mirror(d *model.CheckDefinition, on Mirrored) (Result, []model.CheckID) {
	m := mirror{on: on, seen: map[model.CheckID]bool{}}
	m.follow(d)
	switch {
	case m.missing != "":
		return Result{Status: model.StatusCritical, Output: m.missing}, m.leaves
	case m.worst == nil:
		return Result{Status: model.StatusPassing, Output: "No checks found."}, m.leaves
	case m.worst.Status == model.StatusPassing:
		return Result{Status: model.StatusPassing, Output: "All checks passing."}, m.leaves
	default:
		return Result{Status: m.worst.Status, Output: fmt.Sprintf("Aliased check %q failing: %s", m.worst.CheckID, m.worst.Output)}, m.leaves
	}
}

type mirror struct {
	on Mirrored
	// seen are the checks that were counted or followed. The alias itself is one that is followed, to no more
	// than it shows anyway.
	seen    map[model.CheckID]bool
	leaves  []model.CheckID
	worst   *model.Check
	missing string
}

func (m *mirror) follow(d *model.CheckDefinition) {
	if d.AliasService != "" && !m.on.HasService(d.AliasService) && m.missing == "" {
		m.missing = fmt.Sprintf("Service %s could not be found on node %s", d.AliasService, d.AliasNode)
		return
	}
	m.take(m.on.Checks(""))
	if d.AliasService != "" {
		m.take(m.on.Checks(d.AliasService))
	}
}

func (m *mirror) take(list []*model.Check) {
	for _, c := range list {
		if m.seen[c.CheckID] {
			continue
		}
		m.seen[c.CheckID] = true
		if alias, ok := m.on.Aliases[c.CheckID]; ok {
			m.follow(alias)
			continue
		}
		m.leaves = append(m.leaves, c.CheckID)
		if m.worst == nil || c.Status.Worse(m.worst.Status) != m.worst.Status {
			m.worst = c
		}
	}
}
