// Package read declares every read of the state: its name, what it depends on, and the pure function that
// computes it. The HTTP API, DNS, xDS and the RPC streams ask for these and for nothing else, so that blocking,
// sharing, consistency and rights are solved once, in controlplane/view.
//
// What depends on the caller alone (?filter, ?near, ?tag, ?passing) is applied to a result, not declared here.
package read

import (
	"slices"

	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// Set is the list of declared reads, with a field for each.
type Set struct {
	// Nodes are all nodes by name.
	Nodes *view.Of[view.None, Nodes, *view.None, *Nodes]
	// Node is all that the catalog has of a node, by name or full id; its Node is nil for an unknown one.
	Node *view.Of[NodeArgs, model.NodeServices, *NodeArgs, *model.NodeServices]
	// NodeChecks are the checks of a node and its services.
	NodeChecks *view.Of[NodeArgs, Checks, *NodeArgs, *Checks]
	// Services are the instances of all services, without their checks.
	Services *view.Of[view.None, Instances, *view.None, *Instances]
	// Service are the instances of a service without their checks: a change of a check wakes nobody.
	Service *view.Of[ServiceArgs, Instances, *ServiceArgs, *Instances]
	// Health are the instances of a service with their checks.
	Health *view.Of[ServiceArgs, Instances, *ServiceArgs, *Instances]
	// ServiceChecks are the checks of the instances of a service.
	ServiceChecks *view.Of[ServiceArgs, Checks, *ServiceArgs, *Checks]
	// ChecksInState are the checks with a status, or all for "any".
	ChecksInState *view.Of[StateArgs, Checks, *StateArgs, *Checks]
	// Intentions are all intentions, the most precise first.
	Intentions *view.Of[view.None, Intentions, *view.None, *Intentions]
	// IntentionMatch are the intentions that bear on a service as source or destination, in evaluation order.
	IntentionMatch *view.Of[MatchArgs, Intentions, *MatchArgs, *Intentions]
	// CARoots are the roots of the mesh's authority; without an authority there are none.
	CARoots *view.Of[view.None, model.CARoots, *view.None, *model.CARoots]
	// CAConfig is the authority's configuration; its Provider is empty without an authority.
	CAConfig *view.Of[view.None, model.CAConfig, *view.None, *model.CAConfig]
}

// New declares the reads.
func New() *Set {
	return &Set{
		Nodes:          view.Declare("nodes", fixed[view.None](state.TopicNodes), nodes),
		Node:           view.Declare("node", nodeTopics(state.TopicNode, state.TopicServices), node),
		NodeChecks:     view.Declare("node-checks", nodeTopics(state.TopicNodeChecks, state.TopicChecks), nodeChecks),
		Services:       view.Declare("services", fixed[view.None](state.TopicServices), services),
		Service:        view.Declare("service", serviceTopics, serviceInstances),
		Health:         view.Declare("health", healthTopics, healthInstances),
		ServiceChecks:  view.Declare("service-checks", serviceChecksTopics, serviceChecks),
		ChecksInState:  view.Declare("checks-in-state", fixed[StateArgs](state.TopicChecks), checksInState),
		Intentions:     view.Declare("intentions", fixed[view.None](state.TopicIntentions), intentions),
		IntentionMatch: view.Declare("intention-match", matchTopics, intentionMatch),
		CARoots:        view.Declare("ca-roots", fixed[view.None](state.TopicCARoots), caRoots),
		CAConfig:       view.Declare("ca-config", fixed[view.None](state.TopicCAConfig), caConfig),
	}
}

// All lists the reads for an engine, a mirror or an RPC server.
func (s *Set) All() []view.Read {
	return []view.Read{s.Nodes, s.Node, s.NodeChecks, s.Services, s.Service, s.Health, s.ServiceChecks,
		s.ChecksInState, s.Intentions, s.IntentionMatch, s.CARoots, s.CAConfig}
}

func fixed[A any](topics ...state.Topic) func(A) view.Topics {
	return func(A) view.Topics { return view.Topics{Wake: topics} }
}

// nodeTopics finds the topics of a node by name. A node that is asked for by id may change its name, so that
// every node and each of many counts.
func nodeTopics(named func(model.NodeName) state.Topic, many state.Topic) func(NodeArgs) view.Topics {
	return func(a NodeArgs) view.Topics {
		if a.isID() {
			return view.Topics{Wake: []state.Topic{state.TopicNodes, many}}
		}
		return view.Topics{Wake: []state.Topic{named(a.Node)}}
	}
}

func serviceTopics(a ServiceArgs) view.Topics {
	if a.Connect {
		return view.Topics{Wake: []state.Topic{state.TopicMesh(a.Service)}}
	}
	return view.Topics{
		Wake:  []state.Topic{state.TopicService(a.Service)},
		Index: []state.Topic{state.TopicService(a.Service), state.TopicHealth(a.Service)},
	}
}

func healthTopics(a ServiceArgs) view.Topics {
	if a.Connect {
		return view.Topics{Wake: []state.Topic{state.TopicMesh(a.Service)}}
	}
	return view.Topics{Wake: []state.Topic{state.TopicHealth(a.Service)}}
}

func serviceChecksTopics(a ServiceArgs) view.Topics {
	return view.Topics{Wake: []state.Topic{state.TopicServiceChecks(a.Service)}}
}

// matchTopics: those to a service are in two sets, those from it may be in any.
func matchTopics(a MatchArgs) view.Topics {
	if a.BySource {
		return view.Topics{Wake: []state.Topic{state.TopicIntentions}}
	}
	return view.Topics{Wake: []state.Topic{state.TopicIntentionsTo(a.Service), state.TopicIntentionsTo(model.Wildcard)}}
}

func nodes(s *state.Snapshot, _ view.None) Nodes { return s.Nodes() }

func findNode(s *state.Snapshot, a NodeArgs) *model.Node {
	if n := s.Node(a.Node); n != nil || !a.isID() {
		return n
	}
	return s.NodeByID(model.NodeID(a.Node))
}

func node(s *state.Snapshot, a NodeArgs) model.NodeServices {
	n := findNode(s, a)
	if n == nil {
		return model.NodeServices{}
	}
	return *s.NodeServices(n.Node)
}

func nodeChecks(s *state.Snapshot, a NodeArgs) Checks { return s.NodeChecks(a.Node) }

func withoutChecks(s *state.Snapshot, services []*model.Service) Instances {
	list := make(Instances, 0, len(services))
	for _, svc := range services {
		if n := s.Node(svc.Node); n != nil {
			list = append(list, model.Instance{Node: n, Service: svc})
		}
	}
	return list
}

func services(s *state.Snapshot, _ view.None) Instances { return withoutChecks(s, s.Services()) }

func named(s *state.Snapshot, a ServiceArgs) []*model.Service {
	if a.Connect {
		return s.MeshServices(a.Service)
	}
	return s.ServicesNamed(a.Service)
}

func serviceInstances(s *state.Snapshot, a ServiceArgs) Instances {
	return withoutChecks(s, named(s, a))
}

func healthInstances(s *state.Snapshot, a ServiceArgs) Instances { return s.Instances(named(s, a)) }

func serviceChecks(s *state.Snapshot, a ServiceArgs) Checks { return s.ServiceChecks(a.Service) }

func checksInState(s *state.Snapshot, a StateArgs) Checks {
	if a.Status == AnyStatus {
		return s.Checks()
	}
	return s.ChecksInState(a.Status)
}

func intentions(s *state.Snapshot, _ view.None) Intentions {
	var list Intentions
	for _, set := range s.IntentionSets() {
		list = append(list, set.Sources...)
	}
	intention.Sort(list)
	return list
}

func intentionMatch(s *state.Snapshot, a MatchArgs) Intentions {
	var list Intentions
	if !a.BySource {
		for _, d := range []model.ServiceName{a.Service, model.Wildcard} {
			if set := s.IntentionSet(d); set != nil {
				list = append(list, set.Sources...)
			}
			if a.Service == model.Wildcard {
				break
			}
		}
	} else {
		for _, set := range s.IntentionSets() {
			for _, i := range set.Sources {
				if i.SourcePeer == "" && (i.SourceName == model.Wildcard || model.Fold(i.SourceName) == model.Fold(a.Service)) {
					list = append(list, i)
				}
			}
		}
	}
	intention.Sort(list)
	return list
}

func caRoots(s *state.Snapshot, _ view.None) model.CARoots {
	config := s.CAConfig()
	if config == nil {
		return model.CARoots{}
	}
	roots := model.CARoots{TrustDomain: config.ClusterID + ".consul", Roots: s.CARoots()}
	for _, r := range roots.Roots {
		if r.Active {
			roots.ActiveRootID = r.ID
		}
	}
	slices.SortStableFunc(roots.Roots, func(a, b *model.CARoot) int {
		return int(a.RaftIndexes.CreateIndex) - int(b.RaftIndexes.CreateIndex)
	})
	return roots
}

func caConfig(s *state.Snapshot, _ view.None) model.CAConfig {
	if c := s.CAConfig(); c != nil {
		return *c
	}
	return model.CAConfig{}
}

// CARootsOf is the CARoots read on a snapshot that the caller holds.
func (*Set) CARootsOf(s *state.Snapshot) model.CARoots { return caRoots(s, view.None{}) }
