package httpapi

import (
	"net/http"

	"github.com/lictor-mesh/lictor/model/fault"
)

// notYet are the endpoints of the compatible API that do not exist here yet. They answer 501 with one line, so
// that a client can tell them from a wrong path and nothing pretends to have been done.
func notYet() []route {
	absent := func(names ...string) []method {
		list := make([]method, len(names))
		for i, n := range names {
			list[i] = method{n, notImplemented}
		}
		return list
	}
	const (
		g = http.MethodGet
		p = http.MethodPut
		o = http.MethodPost
		d = http.MethodDelete
	)
	var list []route
	for _, e := range []struct {
		path    string
		methods []method
	}{
		{"/v1/acl/auth-method", absent(p)}, {"/v1/acl/auth-method/", absent(g, p, d)}, {"/v1/acl/auth-methods", absent(g)},
		{"/v1/acl/binding-rule", absent(p)}, {"/v1/acl/binding-rule/", absent(g, p, d)}, {"/v1/acl/binding-rules", absent(g)},
		{"/v1/acl/bootstrap", absent(p)}, {"/v1/acl/login", absent(o)}, {"/v1/acl/logout", absent(o)},
		{"/v1/acl/policies", absent(g)}, {"/v1/acl/policy", absent(p)}, {"/v1/acl/policy/", absent(g, p, d)},
		{"/v1/acl/policy/name/", absent(g)}, {"/v1/acl/replication", absent(g)},
		{"/v1/acl/role", absent(p)}, {"/v1/acl/role/", absent(g, p, d)}, {"/v1/acl/role/name/", absent(g)}, {"/v1/acl/roles", absent(g)},
		{"/v1/acl/templated-policies", absent(g)}, {"/v1/acl/templated-policy/name/", absent(g)},
		{"/v1/acl/templated-policy/preview/", absent(o)},
		{"/v1/acl/token", absent(p)}, {"/v1/acl/token/", absent(g, p, d)}, {"/v1/acl/token/self", absent(g)}, {"/v1/acl/tokens", absent(g)},
		{"/v1/agent/force-leave/", absent(p)}, {"/v1/agent/host", absent(g)}, {"/v1/agent/join/", absent(p)},
		{"/v1/agent/metrics/stream", absent(g)}, {"/v1/agent/monitor", absent(g)}, {"/v1/agent/token/", absent(p)},
		{"/v1/catalog/gateway-services/", absent(g)},
		{"/v1/config", absent(p)}, {"/v1/config/", absent(g, d)},
		{"/v1/coordinate/datacenters", absent(g)}, {"/v1/coordinate/node/", absent(g)}, {"/v1/coordinate/nodes", absent(g)},
		{"/v1/coordinate/update", absent(p)},
		{"/v1/discovery-chain/", absent(g, o)}, {"/v1/event/fire/", absent(p)}, {"/v1/event/list", absent(g)},
		{"/v1/exported-services", absent(g)}, {"/v1/health/ingress/", absent(g)},
		{"/v1/internal/acl/authorize", absent(o)}, {"/v1/internal/federation-state/", absent(g)},
		{"/v1/internal/federation-states", absent(g)}, {"/v1/internal/federation-states/mesh-gateways", absent(g)},
		{"/v1/internal/service-virtual-ip", absent(p)},
		{"/v1/internal/ui/catalog-overview", absent(g)}, {"/v1/internal/ui/exported-services", absent(g)},
		{"/v1/internal/ui/gateway-intentions/", absent(g)}, {"/v1/internal/ui/gateway-services-nodes/", absent(g)},
		{"/v1/internal/ui/metrics-proxy/", absent(g)}, {"/v1/internal/ui/node/", absent(g)}, {"/v1/internal/ui/nodes", absent(g)},
		{"/v1/internal/ui/service-topology/", absent(g)}, {"/v1/internal/ui/services", absent(g)},
		{"/v1/kv/", absent(g, p, d)},
		{"/v1/operator/autopilot/configuration", absent(g, p)}, {"/v1/operator/autopilot/health", absent(g)},
		{"/v1/operator/autopilot/state", absent(g)}, {"/v1/operator/keyring", absent(g, o, p, d)},
		{"/v1/operator/raft/configuration", absent(g)}, {"/v1/operator/raft/peer", absent(d)},
		{"/v1/operator/raft/transfer-leader", absent(o)}, {"/v1/operator/usage", absent(g)},
		{"/v1/peering/", absent(g, d)}, {"/v1/peering/establish", absent(o)}, {"/v1/peering/token", absent(o)}, {"/v1/peerings", absent(g)},
		{"/v1/query", absent(g, o)}, {"/v1/query/", absent(g, p, d)},
		{"/v1/session/create", absent(p)}, {"/v1/session/destroy/", absent(p)}, {"/v1/session/info/", absent(g)},
		{"/v1/session/list", absent(g)}, {"/v1/session/node/", absent(g)}, {"/v1/session/renew/", absent(p)},
		{"/v1/snapshot", absent(g, p)}, {"/v1/txn", absent(p)},
	} {
		list = append(list, route{e.path, noBody, anyScope, e.methods})
	}
	return list
}

// notImplemented answers for an endpoint of notYet.
func notImplemented(_ *API, x *exchange) error {
	return &statusError{http.StatusNotImplemented,
		fault.New(fault.Disabled, "%s %s is not implemented in this version of Lictor", x.r.Method, x.route.path)}
}
