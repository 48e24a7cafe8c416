package read

import "github.com/lictor-mesh/lictor/model"

//go:generate go tool msgp -o types_gen.go -tests=false -io=false

// NodeArgs name a node by its name or, where a read says so, its full id.
type NodeArgs struct {
	Node model.NodeName `msg:"n"`
}

// isID tells whether the argument has the form of a UUID.
func (a NodeArgs) isID() bool {
	return len(a.Node) == 36 && a.Node[8] == '-' && a.Node[13] == '-' && a.Node[18] == '-' && a.Node[23] == '-'
}

// ServiceArgs name a service; with Connect, the instances through which the mesh reaches it.
type ServiceArgs struct {
	Service model.ServiceName `msg:"s"`
	Connect bool              `msg:"c,omitempty"`
}

// AnyStatus stands for checks of every status.
const AnyStatus model.Status = "any"

// StateArgs name a status of checks.
type StateArgs struct {
	Status model.Status `msg:"s"`
}

// MatchArgs name a service as the source or destination of intentions.
type MatchArgs struct {
	Service  model.ServiceName `msg:"s"`
	BySource bool              `msg:"b,omitempty"`
}

// Nodes is a list of nodes.
type Nodes []*model.Node

// Instances is a list of service instances, by node and id.
type Instances []model.Instance

// Checks is a list of checks, by node and id.
type Checks []*model.Check

// Intentions is a list of intentions in evaluation order.
type Intentions []*model.Intention
