package httpapi

import (
	"github.com/lictor-mesh/lictor/model"
)

// appendServiceNode appends the ServiceNode shape of catalog/service: an instance with its node's columns.
func appendServiceNode(b []byte, n *model.Node, s *model.Service) []byte {
	o := beginObject(b)
	o.text("ID", string(n.ID))
	o.text("Node", string(n.Node))
	o.text("Address", n.Address)
	o.text("Datacenter", n.Datacenter)
	o.table("TaggedAddresses", n.TaggedAddresses, "null")
	o.table("NodeMeta", n.Meta, "null")
	o.text("ServiceKind", string(s.Kind))
	o.text("ServiceID", string(s.ID))
	o.text("ServiceName", string(s.Service))
	o.texts("ServiceTags", s.Tags, "[]")
	o.text("ServiceAddress", s.Address)
	o.addressesIf("ServiceTaggedAddresses", s.TaggedAddresses)
	o.weights("ServiceWeights", s.Weights)
	o.table("ServiceMeta", s.Meta, "{}")
	o.int("ServicePort", s.Port)
	o.portsIf("ServicePorts", s.Ports)
	o.text("ServiceSocketPath", s.SocketPath)
	o.flag("ServiceEnableTagOverride", s.EnableTagOverride)
	o.key("ServiceProxy")
	o.b = appendProxy(o.b, s.Proxy, catalogProxy)
	o.key("ServiceConnect")
	o.b = appendConnect(o.b, s.Connect)
	o.key("ServiceLocality")
	o.b = appendLocality(o.b, s.Locality)
	o.indexes(s.RaftIndexes)
	return o.end()
}

// appendNodeService appends the NodeService shape of catalog/node and health/service.
func appendNodeService(b []byte, s *model.Service) []byte {
	o := beginObject(b)
	o.textIf("Kind", string(s.Kind))
	o.text("ID", string(s.ID))
	o.text("Service", string(s.Service))
	o.texts("Tags", s.Tags, "[]")
	o.text("Address", s.Address)
	o.addressesIf("TaggedAddresses", s.TaggedAddresses)
	o.table("Meta", s.Meta, "null")
	o.intIf("Port", s.Port)
	o.portsIf("Ports", s.Ports)
	o.textIf("SocketPath", s.SocketPath)
	o.weights("Weights", s.Weights)
	o.flag("EnableTagOverride", s.EnableTagOverride)
	if s.Locality != nil {
		o.key("Locality")
		o.b = appendLocality(o.b, s.Locality)
	}
	o.key("Proxy")
	o.b = appendProxy(o.b, s.Proxy, catalogProxy)
	o.key("Connect")
	o.b = appendConnect(o.b, s.Connect)
	o.raw("PeerName", `""`)
	o.indexes(s.RaftIndexes)
	return o.end()
}

// appendAgentService appends the AgentService shape. hash is its content hash, "" in lists.
func appendAgentService(b []byte, s *model.Service, datacenter, hash string) []byte {
	o := beginObject(b)
	o.textIf("Kind", string(s.Kind))
	o.text("ID", string(s.ID))
	o.text("Service", string(s.Service))
	o.texts("Tags", s.Tags, "[]")
	o.table("Meta", s.Meta, "{}")
	o.int("Port", s.Port)
	o.portsIf("Ports", s.Ports)
	o.text("Address", s.Address)
	o.textIf("SocketPath", s.SocketPath)
	o.addressesIf("TaggedAddresses", s.TaggedAddresses)
	o.weights("Weights", s.Weights)
	o.flag("EnableTagOverride", s.EnableTagOverride)
	o.textIf("ContentHash", hash)
	// A plain service shows no proxy, whatever it was registered with.
	if s.Kind != model.KindService && s.Proxy != nil {
		o.key("Proxy")
		o.b = appendProxy(o.b, s.Proxy, agentProxy)
	}
	if s.Connect.Native {
		o.key("Connect")
		o.b = appendConnect(o.b, s.Connect)
	}
	o.text("Datacenter", datacenter)
	if s.Locality != nil {
		o.key("Locality")
		o.b = appendLocality(o.b, s.Locality)
	}
	return o.end()
}

func (o *object) portsIf(name string, ports []model.NamedPort) {
	if len(ports) == 0 {
		return
	}
	o.key(name)
	o.b = appendList(o.b, ports, func(b []byte, p model.NamedPort) []byte {
		q := beginObject(b)
		q.text("Name", p.Name)
		q.int("Port", p.Port)
		q.flagIf("Default", p.Default)
		return q.end()
	})
}

func appendConnect(b []byte, c model.Connect) []byte {
	o := beginObject(b)
	o.flagIf("Native", c.Native)
	return o.end()
}

// proxyShape tells the catalog's spelling of a proxy from the agent's, which leaves more out.
type proxyShape bool

const (
	catalogProxy proxyShape = false
	agentProxy   proxyShape = true
)

// appendProxy appends the proxy object; nil is an empty one.
func appendProxy(b []byte, p *model.Proxy, shape proxyShape) []byte {
	if p == nil {
		if shape == agentProxy {
			return append(b, `{"MeshGateway":{},"Expose":{}}`...)
		}
		return append(b, `{"Mode":"","MeshGateway":{},"Expose":{}}`...)
	}
	o := beginObject(b)
	if len(p.EnvoyExtensions) > 0 {
		o.key("EnvoyExtensions")
		o.b = appendList(o.b, p.EnvoyExtensions, appendEnvoyExtension)
	}
	o.textIf("DestinationServiceName", string(p.DestinationServiceName))
	o.textIf("DestinationServiceID", string(p.DestinationServiceID))
	o.textIf("LocalServiceAddress", p.LocalServiceAddress)
	o.intIf("LocalServicePort", p.LocalServicePort)
	o.textIf("LocalServiceSocketPath", p.LocalServiceSocketPath)
	if shape == catalogProxy {
		o.text("Mode", p.Mode)
	} else {
		o.textIf("Mode", p.Mode)
	}
	if t := p.TransparentProxy; t != nil && *t != (model.TransparentProxy{}) {
		o.key("TransparentProxy")
		q := beginObject(o.b)
		q.intIf("OutboundListenerPort", t.OutboundListenerPort)
		q.flagIf("DialedDirectly", t.DialedDirectly)
		o.b = q.end()
	}
	o.opaqueIf("Config", p.Config)
	if len(p.Upstreams) > 0 {
		o.key("Upstreams")
		o.b = append(o.b, '[')
		for i := range p.Upstreams {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			o.b = appendUpstream(o.b, &p.Upstreams[i], shape)
		}
		o.b = append(o.b, ']')
	}
	o.meshGateway(p.MeshGateway)
	o.key("Expose")
	o.b = appendExpose(o.b, &p.Expose, shape)
	if p.AccessLogs != nil && *p.AccessLogs != (model.AccessLogs{}) {
		o.key("AccessLogs")
		o.b = appendAccessLogs(o.b, p.AccessLogs)
	}
	return o.end()
}

func appendUpstream(b []byte, u *model.Upstream, shape proxyShape) []byte {
	o := beginObject(b)
	if shape == catalogProxy {
		o.text("DestinationType", u.DestinationType)
	} else {
		o.textIf("DestinationType", u.DestinationType)
	}
	o.textIf("DestinationPeer", u.DestinationPeer)
	o.text("DestinationName", string(u.DestinationName))
	if shape == catalogProxy {
		o.text("Datacenter", u.Datacenter)
	} else {
		o.textIf("Datacenter", u.Datacenter)
	}
	o.textIf("LocalBindAddress", u.LocalBindAddress)
	o.intIf("LocalBindPort", u.LocalBindPort)
	o.textIf("LocalBindSocketPath", u.LocalBindSocketPath)
	o.textIf("LocalBindSocketMode", u.LocalBindSocketMode)
	o.opaqueIf("Config", u.Config)
	o.meshGateway(u.MeshGateway)
	if len(u.IngressHosts) > 0 {
		o.texts("IngressHosts", u.IngressHosts, "[]")
	}
	return o.end()
}

func (o *object) opaqueIf(name string, m map[string]any) {
	if len(m) > 0 {
		o.key(name)
		o.b = appendMap(o.b, m, appendAny)
	}
}

func (o *object) meshGateway(g model.MeshGateway) {
	o.key("MeshGateway")
	q := beginObject(o.b)
	q.textIf("Mode", g.Mode)
	o.b = q.end()
}

func appendExpose(b []byte, e *model.Expose, shape proxyShape) []byte {
	o := beginObject(b)
	o.flagIf("Checks", e.Checks)
	if len(e.Paths) > 0 {
		o.key("Paths")
		o.b = appendList(o.b, e.Paths, func(b []byte, p model.ExposePath) []byte {
			q := beginObject(b)
			q.intIf("ListenerPort", p.ListenerPort)
			q.textIf("Path", p.Path)
			q.intIf("LocalPathPort", p.LocalPathPort)
			q.textIf("Protocol", p.Protocol)
			if shape == agentProxy {
				q.flag("ParsedFromCheck", false)
			}
			return q.end()
		})
	}
	return o.end()
}

func appendAccessLogs(b []byte, l *model.AccessLogs) []byte {
	o := beginObject(b)
	o.flagIf("Enabled", l.Enabled)
	o.flagIf("DisableListenerLogs", l.DisableListenerLogs)
	o.textIf("Type", l.Type)
	o.textIf("Path", l.Path)
	o.textIf("JSONFormat", l.JSONFormat)
	o.textIf("TextFormat", l.TextFormat)
	return o.end()
}

func appendEnvoyExtension(b []byte, e model.EnvoyExtension) []byte {
	o := beginObject(b)
	o.text("Name", e.Name)
	o.flag("Required", e.Required)
	o.key("Arguments")
	o.b = appendAny(o.b, e.Arguments)
	o.text("ConsulVersion", e.ConsulVersion)
	o.text("EnvoyVersion", e.EnvoyVersion)
	return o.end()
}
