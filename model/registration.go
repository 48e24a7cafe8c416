package model

// Registration is a write to the catalog: a node, and optionally one service of it and checks of either.
type Registration struct {
	Datacenter string `msg:"dc,omitempty"`
	// Node holds name, id, address, tagged addresses, meta and locality of the node.
	Node Node `msg:"n"`
	// SkipNodeUpdate leaves an existing node as it is.
	SkipNodeUpdate bool     `msg:"sk,omitempty"`
	Service        *Service `msg:"s,omitempty"`
	Checks         []*Check `msg:"c,omitempty"`
	// Owner is the agent that stands behind the records: a node id, or empty for an external registration.
	Owner NodeID `msg:"o,omitempty"`
}

// Deregistration removes from the catalog: a check, else a service with its checks, else a whole node.
type Deregistration struct {
	Datacenter string    `msg:"dc,omitempty"`
	Node       NodeName  `msg:"n"`
	ServiceID  ServiceID `msg:"s,omitempty"`
	CheckID    CheckID   `msg:"c,omitempty"`
}

// NodeServices is all that the catalog holds of one node.
type NodeServices struct {
	Node     *Node      `msg:"n"`
	Services []*Service `msg:"s"`
	Checks   []*Check   `msg:"c"`
}
