package state

import "github.com/lictor-mesh/lictor/model"

// Register writes a node, a service of it and checks, as far as r holds them. Either all is written or,
// with an error, the caller must abort the Tx.
func (t *Tx) Register(r *model.Registration) error {
	node := t.Node(r.Node.Node)
	if node == nil || !r.SkipNodeUpdate {
		var err error
		if node, err = t.putNode(&r.Node); err != nil {
			return err
		}
	}
	if r.Service != nil {
		t.putService(node, r.Service)
	}
	for _, c := range r.Checks {
		if err := t.putCheck(node, c); err != nil {
			return err
		}
	}
	return nil
}

// Deregister removes what d names; what does not exist is no error.
func (t *Tx) Deregister(d *model.Deregistration) {
	switch {
	case d.ServiceID != "":
		t.DeleteService(d.Node, d.ServiceID)
	case d.CheckID != "":
		t.DeleteCheck(d.Node, d.CheckID)
	default:
		t.DeleteNode(d.Node)
	}
}
