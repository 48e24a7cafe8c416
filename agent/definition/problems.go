package definition

import (
	"fmt"

	"github.com/lictor-mesh/lictor/model"
)

const maxPort = 65535

// Problems tells what the API takes though it cannot work: ports out of range, a check's id given twice,
// unknown kinds and modes. One line each, with the fix. Files treat them as errors, the API logs them.
func Problems(def *model.ServiceDefinition) []string {
	var found faultList
	s := &def.Service
	port := func(key string, n int) {
		if n < 0 || n > maxPort {
			found.addf("%s %d of service %q is not a port; use 1 to %d, or 0 for none", key, n, s.ID, maxPort)
		}
	}
	port("port", s.Port)
	for name, address := range s.TaggedAddresses {
		port("tagged_addresses."+name+".port", address.Port)
	}
	switch s.Kind {
	case model.KindService, model.KindConnectProxy, model.KindMeshGateway, model.KindTerminatingGateway, model.KindIngressGateway, model.KindAPIGateway:
	default:
		found.addf("kind %q of service %q is unknown; use connect-proxy, mesh-gateway, terminating-gateway, ingress-gateway, api-gateway, or none", s.Kind, s.ID)
	}
	if s.Port != 0 && s.SocketPath != "" {
		found.addf("service %q has both a port and a socket_path; keep one", s.ID)
	}
	if s.Proxy != nil {
		proxyProblems(&found, s, port)
	}
	ids := map[model.CheckID]bool{}
	for _, c := range def.Checks {
		if c.CheckID != "" && ids[c.CheckID] {
			found.addf("check id %q of service %q is given twice; each check needs its own", c.CheckID, s.ID)
		}
		ids[c.CheckID] = true
	}
	if def.Sidecar != nil {
		for _, line := range Problems(def.Sidecar) {
			found.addf("sidecar of %q: %s", s.ID, line)
		}
	}
	return found
}

func proxyProblems(found *faultList, s *model.Service, port func(string, int)) {
	port("proxy.local_service_port", s.Proxy.LocalServicePort)
	switch s.Proxy.Mode {
	case "", "direct", "transparent":
	default:
		found.addf("proxy.mode %q of service %q is unknown; use direct or transparent", s.Proxy.Mode, s.ID)
	}
	gatewayMode(found, "proxy.mesh_gateway.mode", s.Proxy.MeshGateway.Mode)
	for i, u := range s.Proxy.Upstreams {
		key := fmt.Sprintf("proxy.upstreams[%d]", i)
		port(key+".local_bind_port", u.LocalBindPort)
		gatewayMode(found, key+".mesh_gateway.mode", u.MeshGateway.Mode)
	}
}

func gatewayMode(found *faultList, key, mode string) {
	switch mode {
	case "", "none", "local", "remote":
	default:
		found.addf("%s %q is unknown; use none, local or remote", key, mode)
	}
}
