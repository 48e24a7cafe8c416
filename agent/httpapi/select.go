package httpapi

import (
	"github.com/lictor-mesh/lictor/model"
)

// selectors are the tables of what ?filter may name, one for each shape (HTTP API reference, section 1.10).
// Rows are *model.Node, *model.Service, *model.Instance, *model.Check, *model.Member and *model.Intention.
type selectors struct {
	node, nodeService, agentService, serviceNode, check, health, member, intention fields
}

func newSelectors() *selectors {
	address := fields{
		"Address": textOf(func(a *model.ServiceAddress) string { return a.Address }),
		"Port":    numberOf(func(a *model.ServiceAddress) int { return a.Port }),
	}
	weights := fields{
		"Passing": numberOf(func(w *model.Weights) int { return w.Passing }),
		"Warning": numberOf(func(w *model.Weights) int { return w.Warning }),
	}
	proxy := selectProxy()
	s := &selectors{
		node: fields{
			"ID":              textOf(func(n *model.Node) model.NodeID { return n.ID }),
			"Node":            textOf(func(n *model.Node) model.NodeName { return n.Node }),
			"Address":         textOf(func(n *model.Node) string { return n.Address }),
			"Datacenter":      textOf(func(n *model.Node) string { return n.Datacenter }),
			"TaggedAddresses": tableOf(func(n *model.Node) map[string]string { return n.TaggedAddresses }),
			"Meta":            tableOf(func(n *model.Node) map[string]string { return n.Meta }),
			"PeerName":        textOf(func(*model.Node) string { return "" }),
			"Partition":       textOf(func(*model.Node) string { return "" }),
		},
		agentService: selectService(address, weights, proxy),
		check:        selectCheck(),
		member:       selectMember(),
		intention:    selectIntention(),
		serviceNode:  selectServiceNode(address, weights, proxy),
	}
	s.nodeService = selectService(address, weights, proxy)
	s.nodeService["SocketPath"] = textOf(func(s *model.Service) string { return s.SocketPath })
	s.nodeService["PeerName"] = textOf(func(*model.Service) string { return "" })
	s.health = fields{
		"Node":    partOf(func(i *model.Instance) *model.Node { return i.Node }, s.node),
		"Service": partOf(func(i *model.Instance) *model.Service { return i.Service }, s.nodeService),
		"Checks": {
			fields: s.check,
			size:   func(v any) int { return len(v.(*model.Instance).Checks) },
			list: func(v any) []any {
				var out []any
				for _, c := range v.(*model.Instance).Checks {
					out = append(out, c)
				}
				return out
			},
		},
	}
	return s
}

func selectService(address, weights, proxy fields) fields {
	return fields{
		"Kind":              textOf(func(s *model.Service) model.ServiceKind { return s.Kind }),
		"ID":                textOf(func(s *model.Service) model.ServiceID { return s.ID }),
		"Service":           textOf(func(s *model.Service) model.ServiceName { return s.Service }),
		"Tags":              textsOf(func(s *model.Service) []string { return s.Tags }),
		"Meta":              tableOf(func(s *model.Service) map[string]string { return s.Meta }),
		"Port":              numberOf(func(s *model.Service) int { return s.Port }),
		"Address":           textOf(func(s *model.Service) string { return s.Address }),
		"TaggedAddresses":   dictOf(func(s *model.Service) map[string]model.ServiceAddress { return s.TaggedAddresses }, address),
		"Weights":           partOf(func(s *model.Service) *model.Weights { return &s.Weights }, weights),
		"EnableTagOverride": flagOf(func(s *model.Service) bool { return s.EnableTagOverride }),
		"Proxy":             partOf(func(s *model.Service) *model.Proxy { return proxyOf(s) }, proxy),
		"Connect": partOf(func(s *model.Service) *model.Connect { return &s.Connect }, fields{
			"Native": flagOf(func(c *model.Connect) bool { return c.Native }),
		}),
	}
}

// proxyOf is a service's proxy; one that has none is like an empty one.
func proxyOf(s *model.Service) *model.Proxy {
	if s.Proxy == nil {
		return &model.Proxy{}
	}
	return s.Proxy
}

func selectServiceNode(address, weights, proxy fields) fields {
	type row = *model.Instance
	return fields{
		"ID":                       textOf(func(i row) model.NodeID { return i.Node.ID }),
		"Node":                     textOf(func(i row) model.NodeName { return i.Node.Node }),
		"Address":                  textOf(func(i row) string { return i.Node.Address }),
		"Datacenter":               textOf(func(i row) string { return i.Node.Datacenter }),
		"TaggedAddresses":          tableOf(func(i row) map[string]string { return i.Node.TaggedAddresses }),
		"NodeMeta":                 tableOf(func(i row) map[string]string { return i.Node.Meta }),
		"ServiceKind":              textOf(func(i row) model.ServiceKind { return i.Service.Kind }),
		"ServiceID":                textOf(func(i row) model.ServiceID { return i.Service.ID }),
		"ServiceName":              textOf(func(i row) model.ServiceName { return i.Service.Service }),
		"ServiceTags":              textsOf(func(i row) []string { return i.Service.Tags }),
		"ServiceAddress":           textOf(func(i row) string { return i.Service.Address }),
		"ServiceTaggedAddresses":   dictOf(func(i row) map[string]model.ServiceAddress { return i.Service.TaggedAddresses }, address),
		"ServiceWeights":           partOf(func(i row) *model.Weights { return &i.Service.Weights }, weights),
		"ServiceMeta":              tableOf(func(i row) map[string]string { return i.Service.Meta }),
		"ServicePort":              numberOf(func(i row) int { return i.Service.Port }),
		"ServiceSocketPath":        textOf(func(i row) string { return i.Service.SocketPath }),
		"ServiceEnableTagOverride": flagOf(func(i row) bool { return i.Service.EnableTagOverride }),
		"ServiceProxy":             partOf(func(i row) *model.Proxy { return proxyOf(i.Service) }, proxy),
		"ServiceConnect": partOf(func(i row) *model.Connect { return &i.Service.Connect }, fields{
			"Native": flagOf(func(c *model.Connect) bool { return c.Native }),
		}),
		"PeerName": textOf(func(row) string { return "" }),
	}
}

func selectCheck() fields {
	type row = *model.Check
	return fields{
		"Node":        textOf(func(c row) model.NodeName { return c.Node }),
		"CheckID":     textOf(func(c row) model.CheckID { return c.CheckID }),
		"Name":        textOf(func(c row) string { return c.Name }),
		"Status":      textOf(func(c row) model.Status { return c.Status }),
		"Notes":       textOf(func(c row) string { return c.Notes }),
		"Output":      textOf(func(c row) string { return c.Output }),
		"ServiceID":   textOf(func(c row) model.ServiceID { return c.ServiceID }),
		"ServiceName": textOf(func(c row) model.ServiceName { return c.ServiceName }),
		"ServiceTags": textsOf(func(c row) []string { return c.ServiceTags }),
		"Type":        textOf(func(c row) string { return c.Type }),
		"Interval":    textOf(func(c row) string { return c.Interval }),
		"Timeout":     textOf(func(c row) string { return c.Timeout }),
		"ExposedPort": numberOf(func(c row) int { return c.ExposedPort }),
		"PeerName":    textOf(func(row) string { return "" }),
		"Definition":  partOf(func(c row) *model.CheckDefinition { return &c.Definition }, selectDefinition()),
	}
}

func selectDefinition() fields {
	type row = *model.CheckDefinition
	return fields{
		"HTTP":          textOf(func(d row) string { return d.HTTP }),
		"Method":        textOf(func(d row) string { return d.Method }),
		"Body":          textOf(func(d row) string { return d.Body }),
		"TLSServerName": textOf(func(d row) string { return d.TLSServerName }),
		"TLSSkipVerify": flagOf(func(d row) bool { return d.TLSSkipVerify }),
		"TCP":           textOf(func(d row) string { return d.TCP }),
		"TCPUseTLS":     flagOf(func(d row) bool { return d.TCPUseTLS }),
		"UDP":           textOf(func(d row) string { return d.UDP }),
		"H2PING":        textOf(func(d row) string { return d.H2PING }),
		"H2PingUseTLS":  flagOf(func(d row) bool { return d.H2PingUseTLS }),
		"OSService":     textOf(func(d row) string { return d.OSService }),
		"GRPC":          textOf(func(d row) string { return d.GRPC }),
		"GRPCUseTLS":    flagOf(func(d row) bool { return d.GRPCUseTLS }),
		"AliasNode":     textOf(func(d row) model.NodeName { return d.AliasNode }),
		"AliasService":  textOf(func(d row) model.ServiceID { return d.AliasService }),
		"Interval":      textOf(func(d row) string { return d.Interval.String() }),
		"Timeout":       textOf(func(d row) string { return d.Timeout.String() }),
		"TTL":           textOf(func(d row) string { return d.TTL.String() }),
	}
}

func selectMember() fields {
	type row = *model.Member
	return fields{
		"Name":        textOf(func(m row) model.NodeName { return m.Name }),
		"Addr":        textOf(func(m row) string { return m.Addr }),
		"Port":        numberOf(func(m row) int { return int(m.Port) }),
		"Tags":        tableOf(func(m row) map[string]string { return m.Tags }),
		"Status":      numberOf(func(m row) int { return int(m.Status) }),
		"ProtocolMin": numberOf(func(m row) int { return int(m.ProtocolMin) }),
		"ProtocolMax": numberOf(func(m row) int { return int(m.ProtocolMax) }),
		"ProtocolCur": numberOf(func(m row) int { return int(m.ProtocolCur) }),
		"DelegateMin": numberOf(func(m row) int { return int(m.DelegateMin) }),
		"DelegateMax": numberOf(func(m row) int { return int(m.DelegateMax) }),
		"DelegateCur": numberOf(func(m row) int { return int(m.DelegateCur) }),
	}
}

func selectIntention() fields {
	type row = *model.Intention
	always := func(s string) selector { return textOf(func(row) string { return s }) }
	return fields{
		"ID":              textOf(func(i row) string { return i.ID }),
		"Description":     textOf(func(i row) string { return i.Description }),
		"SourcePeer":      textOf(func(i row) string { return i.SourcePeer }),
		"SourceNS":        always("default"),
		"SourceName":      textOf(func(i row) model.ServiceName { return i.SourceName }),
		"SourcePartition": always(""),
		"DestinationNS":   always("default"),
		"DestinationName": textOf(func(i row) model.ServiceName { return i.DestinationName }),
		"SourceType":      textOf(func(i row) string { return i.SourceType }),
		"Action":          textOf(func(i row) model.Action { return i.Action }),
		"Precedence":      numberOf(func(i row) int { return i.Precedence }),
		"Meta":            tableOf(func(i row) map[string]string { return i.Meta }),
	}
}
