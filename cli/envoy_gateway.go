package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/hashicorp/consul/api"
)

// gatewayFlags are those of "connect envoy" that concern gateways.
type gatewayFlags struct {
	kind, service   string
	mesh, register  bool
	address, wan    string
	bind            pairs
	exposeServers   bool
	deregisterAfter string
	readyAddr       string // where an ingress gateway answers /ready
	readyPort       int
}

// gatewayKinds are the kinds of gateways by the names of -gateway.
func gatewayKinds() map[string]api.ServiceKind {
	return map[string]api.ServiceKind{"api": api.ServiceKindAPIGateway, "terminating": api.ServiceKindTerminatingGateway,
		"mesh": api.ServiceKindMeshGateway, "ingress": api.ServiceKindIngressGateway}
}

func (g *gatewayFlags) declare(c *command) {
	fs := c.flags
	fs.StringVar(&g.kind, "gateway", "", "Kind of the gateway that this is: api, terminating, mesh or ingress.")
	fs.BoolVar(&g.mesh, "mesh-gateway", false, "Deprecated: use -gateway=mesh.")
	fs.BoolVar(&g.register, "register", false, "Register the gateway with the agent first.")
	fs.StringVar(&g.service, "service", "", "Name to register the gateway as; its kind by default.")
	fs.Var((*text)(&g.address), "address", "LAN address (host:port) to register it at.")
	fs.Var((*text)(&g.wan), "wan-address", "WAN address (host:port) to register it at.")
	fs.Var(&g.bind, "bind-address", "Further address to listen at, as name=ip:port; may be repeated.")
	fs.BoolVar(&g.exposeServers, "expose-servers", false, "Let a mesh gateway pass on to this datacenter's servers.")
	fs.StringVar(&g.deregisterAfter, "deregister-after-critical", "6h", "After how long of being critical the agent deregisters it.")
}

// proxy returns the ID of the gateway, which it registers where asked to.
func (g *gatewayFlags) proxy(cl *client) (string, error) {
	kind, ok := gatewayKinds()[g.kind]
	if !ok {
		return "", errors.New("Gateway must be one of: api, terminating, mesh, or ingress")
	}
	name := cmp.Or(g.service, string(kind))
	if g.register {
		return name, g.registerAs(cl, kind, name)
	}
	services, err := cl.Agent().Services()
	if err != nil {
		return "", cl.fail("Failed looking up gateway", err)
	}
	var ids []string
	for _, s := range services {
		if s.Kind == kind && (g.service == "" || s.Service == g.service) {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	switch len(ids) {
	case 0:
		return "", withHint(fmt.Errorf("No %s services registered with this agent", kind), "-register registers one")
	case 1:
		return ids[0], nil
	}
	return "", withHint(fmt.Errorf("More than one %s is registered with this agent: %v", kind, ids), "choose one with -proxy-id")
}

func (g *gatewayFlags) registerAs(cl *client, kind api.ServiceKind, name string) error {
	host, port, err := resolveAddr(g.address)
	if err != nil {
		return withHint(fmt.Errorf("Invalid -address=%s: %w", g.address, err), "name the address the gateway listens at as host:port")
	}
	reg := &api.AgentServiceRegistration{Kind: kind, ID: name, Name: name, Address: host, Port: port,
		Proxy: &api.AgentServiceConnectProxyConfig{Config: make(map[string]any)},
		Check: &api.AgentServiceCheck{Name: name + " listening", TCP: net.JoinHostPort(host, fmt.Sprint(port)), Interval: "10s",
			DeregisterCriticalServiceAfter: g.deregisterAfter}}
	if kind == api.ServiceKindIngressGateway {
		g.readyAddr, g.readyPort = host, port
	}
	if g.wan != "" {
		wan, wanPort, err := resolveAddr(g.wan)
		if err != nil {
			return fmt.Errorf("Invalid -wan-address=%s: %w", g.wan, err)
		}
		reg.TaggedAddresses = map[string]api.ServiceAddress{"lan": {Address: host, Port: port}, "wan": {Address: wan, Port: wanPort}}
	}
	if len(g.bind) > 0 {
		listen := make(map[string]api.ServiceAddress)
		for name, addr := range g.bind {
			host, port, err := resolveAddr(addr)
			if err != nil {
				return fmt.Errorf("Invalid -bind-address=%s=%s: %w", name, addr, err)
			}
			listen[name] = api.ServiceAddress{Address: host, Port: port}
		}
		reg.Proxy.Config["envoy_gateway_no_default_bind"], reg.Proxy.Config["envoy_gateway_bind_addresses"] = true, listen
	}
	if g.exposeServers {
		reg.Meta = map[string]string{"consul-wan-federation": "1"}
	}
	if err := cl.Agent().ServiceRegister(reg); err != nil {
		return cl.fail(fmt.Sprintf("Error registering service %q", name), err)
	}
	return nil
}

// resolveAddr takes host:port apart and looks the host up: Envoy takes IP addresses only.
func resolveAddr(addr string) (ip string, port int, err error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return "", 0, err
	}
	resolved, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", 0, err
	}
	return resolved.String(), port, nil
}
