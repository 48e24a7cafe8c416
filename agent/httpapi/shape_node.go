package httpapi

import "github.com/lictor-mesh/lictor/model"

// appendNode appends the Node shape (HTTP API reference, section 3).
func appendNode(b []byte, n *model.Node) []byte {
	o := beginObject(b)
	o.text("ID", string(n.ID))
	o.text("Node", string(n.Node))
	o.text("Address", n.Address)
	o.text("Datacenter", n.Datacenter)
	o.table("TaggedAddresses", n.TaggedAddresses, "null")
	o.table("Meta", n.Meta, "null")
	if n.Locality != nil {
		o.key("Locality")
		o.b = appendLocality(o.b, n.Locality)
	}
	o.indexes(n.RaftIndexes)
	return o.end()
}

// appendLocality appends a locality, null for none.
func appendLocality(b []byte, l *model.Locality) []byte {
	if l == nil {
		return append(b, "null"...)
	}
	o := beginObject(b)
	o.textIf("Region", l.Region)
	o.textIf("Zone", l.Zone)
	return o.end()
}

func appendServiceAddress(b []byte, a model.ServiceAddress) []byte {
	o := beginObject(b)
	o.text("Address", a.Address)
	o.int("Port", a.Port)
	return o.end()
}

func (o *object) addressesIf(name string, m map[string]model.ServiceAddress) {
	if len(m) > 0 {
		o.key(name)
		o.b = appendMap(o.b, m, appendServiceAddress)
	}
}

func (o *object) weights(name string, w model.Weights) {
	o.key(name)
	p := beginObject(o.b)
	p.int("Passing", w.Passing)
	p.int("Warning", w.Warning)
	o.b = p.end()
}
