package httpapi

import "github.com/lictor-mesh/lictor/model"

// selectProxy is what Proxy.* and ServiceProxy.* cover. Opaque configuration cannot be selected.
func selectProxy() fields {
	type row = *model.Proxy
	meshGateway := fields{"Mode": textOf(func(g *model.MeshGateway) string { return g.Mode })}
	return fields{
		"DestinationServiceName": textOf(func(p row) model.ServiceName { return p.DestinationServiceName }),
		"DestinationServiceID":   textOf(func(p row) model.ServiceID { return p.DestinationServiceID }),
		"LocalServiceAddress":    textOf(func(p row) string { return p.LocalServiceAddress }),
		"LocalServicePort":       numberOf(func(p row) int { return p.LocalServicePort }),
		"LocalServiceSocketPath": textOf(func(p row) string { return p.LocalServiceSocketPath }),
		"Mode":                   textOf(func(p row) string { return p.Mode }),
		"MeshGateway":            partOf(func(p row) *model.MeshGateway { return &p.MeshGateway }, meshGateway),
		"Expose": partOf(func(p row) *model.Expose { return &p.Expose }, fields{
			"Checks": flagOf(func(e *model.Expose) bool { return e.Checks }),
			"Paths": listOf(func(e *model.Expose) []model.ExposePath { return e.Paths }, fields{
				"ListenerPort":  numberOf(func(e *model.ExposePath) int { return e.ListenerPort }),
				"Path":          textOf(func(e *model.ExposePath) string { return e.Path }),
				"LocalPathPort": numberOf(func(e *model.ExposePath) int { return e.LocalPathPort }),
				"Protocol":      textOf(func(e *model.ExposePath) string { return e.Protocol }),
			}),
		}),
		"TransparentProxy": partOf(func(p row) *model.TransparentProxy { return orEmpty(p.TransparentProxy) }, fields{
			"OutboundListenerPort": numberOf(func(t *model.TransparentProxy) int { return t.OutboundListenerPort }),
			"DialedDirectly":       flagOf(func(t *model.TransparentProxy) bool { return t.DialedDirectly }),
		}),
		"AccessLogs": partOf(func(p row) *model.AccessLogs { return orEmpty(p.AccessLogs) }, fields{
			"Enabled":             flagOf(func(l *model.AccessLogs) bool { return l.Enabled }),
			"DisableListenerLogs": flagOf(func(l *model.AccessLogs) bool { return l.DisableListenerLogs }),
			"Type":                textOf(func(l *model.AccessLogs) string { return l.Type }),
			"Path":                textOf(func(l *model.AccessLogs) string { return l.Path }),
			"JSONFormat":          textOf(func(l *model.AccessLogs) string { return l.JSONFormat }),
			"TextFormat":          textOf(func(l *model.AccessLogs) string { return l.TextFormat }),
		}),
		"Upstreams": listOf(func(p row) []model.Upstream { return p.Upstreams }, selectUpstream(meshGateway)),
		"EnvoyExtensions": listOf(func(p row) []model.EnvoyExtension { return p.EnvoyExtensions }, fields{
			"Name":          textOf(func(e *model.EnvoyExtension) string { return e.Name }),
			"Required":      flagOf(func(e *model.EnvoyExtension) bool { return e.Required }),
			"ConsulVersion": textOf(func(e *model.EnvoyExtension) string { return e.ConsulVersion }),
			"EnvoyVersion":  textOf(func(e *model.EnvoyExtension) string { return e.EnvoyVersion }),
		}),
	}
}

func selectUpstream(meshGateway fields) fields {
	type row = *model.Upstream
	return fields{
		"DestinationType":     textOf(func(u row) string { return u.DestinationType }),
		"DestinationName":     textOf(func(u row) model.ServiceName { return u.DestinationName }),
		"DestinationPeer":     textOf(func(u row) string { return u.DestinationPeer }),
		"Datacenter":          textOf(func(u row) string { return u.Datacenter }),
		"LocalBindAddress":    textOf(func(u row) string { return u.LocalBindAddress }),
		"LocalBindPort":       numberOf(func(u row) int { return u.LocalBindPort }),
		"LocalBindSocketPath": textOf(func(u row) string { return u.LocalBindSocketPath }),
		"LocalBindSocketMode": textOf(func(u row) string { return u.LocalBindSocketMode }),
		"MeshGateway":         partOf(func(u row) *model.MeshGateway { return &u.MeshGateway }, meshGateway),
	}
}

func orEmpty[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}
