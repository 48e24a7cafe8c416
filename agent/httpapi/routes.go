package httpapi

import (
	"net/http"
	"strings"
)

// bodyLimit is the greatest size of a request body in bytes.
type bodyLimit int64

// The limits. A registration may carry much opaque proxy configuration; what no handler reads may still be
// sent by clients that send bodies with everything.
const (
	noBody       bodyLimit = 4 << 10
	smallBody    bodyLimit = 64 << 10
	documentBody bodyLimit = 4 << 20
)

// scope says which enterprise parameters an endpoint knows, and so refuses.
type scope uint8

const (
	// anyScope looks at neither.
	anyScope scope = iota
	// nodeScope looks at the partition alone.
	nodeScope
	// serviceScope looks at namespace and partition.
	serviceScope
)

type handler func(a *API, x *exchange) error

// method is one method of a route, in the order of the Allow header.
type method struct {
	name   string
	handle handler
}

// route is one endpoint. A path that ends in / matches every path below it. All fields are given for each, so
// that none can be left out: an endpoint without a body limit does not compile.
type route struct {
	path    string
	limit   bodyLimit
	scope   scope
	methods []method
}

func get(h handler) method  { return method{http.MethodGet, h} }
func put(h handler) method  { return method{http.MethodPut, h} }
func post(h handler) method { return method{http.MethodPost, h} }
func del(h handler) method  { return method{http.MethodDelete, h} }

// routes are the endpoints that exist.
func routes() []route {
	return []route{
		{"/v1/agent/self", noBody, anyScope, []method{get((*API).agentSelf)}},
		{"/v1/agent/version", noBody, anyScope, []method{get((*API).agentVersion)}},
		{"/v1/agent/members", noBody, nodeScope, []method{get((*API).agentMembers)}},
		{"/v1/agent/reload", noBody, anyScope, []method{put((*API).agentReload)}},
		{"/v1/agent/leave", noBody, anyScope, []method{put((*API).agentLeave)}},
		{"/v1/agent/metrics", noBody, anyScope, []method{get((*API).agentMetrics)}},
		{"/v1/agent/maintenance", noBody, nodeScope, []method{put((*API).nodeMaintenance)}},

		{"/v1/agent/services", noBody, serviceScope, []method{get((*API).agentServices)}},
		{"/v1/agent/service/", noBody, serviceScope, []method{get((*API).agentService)}},
		{"/v1/agent/service/register", documentBody, serviceScope, []method{put((*API).registerService)}},
		{"/v1/agent/service/deregister/", noBody, serviceScope, []method{put((*API).deregisterService)}},
		{"/v1/agent/service/maintenance/", noBody, serviceScope, []method{put((*API).serviceMaintenance)}},
		{"/v1/agent/health/service/id/", noBody, serviceScope, []method{get((*API).localHealthByID)}},
		{"/v1/agent/health/service/name/", noBody, serviceScope, []method{get((*API).localHealthByName)}},

		{"/v1/agent/checks", noBody, serviceScope, []method{get((*API).agentChecks)}},
		{"/v1/agent/check/register", documentBody, serviceScope, []method{put((*API).registerCheck)}},
		{"/v1/agent/check/deregister/", noBody, serviceScope, []method{put((*API).deregisterCheck)}},
		{"/v1/agent/check/pass/", noBody, serviceScope, []method{put((*API).passCheck)}},
		{"/v1/agent/check/warn/", noBody, serviceScope, []method{put((*API).warnCheck)}},
		{"/v1/agent/check/fail/", noBody, serviceScope, []method{put((*API).failCheck)}},
		{"/v1/agent/check/update/", documentBody, serviceScope, []method{put((*API).updateCheck)}},

		{"/v1/agent/connect/ca/roots", noBody, anyScope, []method{get((*API).agentRoots)}},
		{"/v1/agent/connect/ca/leaf/", noBody, serviceScope, []method{get((*API).agentLeaf)}},
		{"/v1/agent/connect/authorize", smallBody, serviceScope, []method{post((*API).authorize)}},
		{"/v1/agent/proxy/status", noBody, anyScope, []method{get((*API).proxyList)}},
		{"/v1/agent/proxy/status/", noBody, anyScope, []method{get((*API).proxyStatus)}},
		{"/v1/agent/proxy/drain/", noBody, anyScope, []method{put((*API).drainProxy)}},

		{"/v1/catalog/register", documentBody, anyScope, []method{put((*API).catalogRegister)}},
		{"/v1/catalog/deregister", smallBody, anyScope, []method{put((*API).catalogDeregister)}},
		{"/v1/catalog/datacenters", noBody, anyScope, []method{get((*API).catalogDatacenters)}},
		{"/v1/catalog/nodes", noBody, nodeScope, []method{get((*API).catalogNodes)}},
		{"/v1/catalog/services", noBody, serviceScope, []method{get((*API).catalogServices)}},
		{"/v1/catalog/service/", noBody, serviceScope, []method{get((*API).catalogService)}},
		{"/v1/catalog/connect/", noBody, serviceScope, []method{get((*API).catalogConnect)}},
		{"/v1/catalog/node/", noBody, serviceScope, []method{get((*API).catalogNode)}},
		{"/v1/catalog/node-services/", noBody, serviceScope, []method{get((*API).catalogNodeServices)}},

		{"/v1/health/node/", noBody, serviceScope, []method{get((*API).healthNode)}},
		{"/v1/health/checks/", noBody, serviceScope, []method{get((*API).healthChecks)}},
		{"/v1/health/state/", noBody, serviceScope, []method{get((*API).healthState)}},
		{"/v1/health/service/", noBody, serviceScope, []method{get((*API).healthService)}},
		{"/v1/health/connect/", noBody, serviceScope, []method{get((*API).healthConnect)}},

		{"/v1/status/leader", noBody, anyScope, []method{get((*API).statusLeader)}},
		{"/v1/status/peers", noBody, anyScope, []method{get((*API).statusPeers)}},

		{"/v1/connect/ca/roots", noBody, anyScope, []method{get((*API).caRoots)}},
		{"/v1/connect/ca/configuration", smallBody, anyScope, []method{get((*API).caConfiguration), put((*API).configureCA)}},
		{"/v1/connect/intentions", documentBody, serviceScope, []method{get((*API).intentionList), post((*API).intentionCreate)}},
		{"/v1/connect/intentions/", documentBody, serviceScope,
			[]method{get((*API).intentionByID), put((*API).intentionUpdate), del((*API).intentionDelete)}},
		{"/v1/connect/intentions/match", noBody, serviceScope, []method{get((*API).intentionMatch)}},
		{"/v1/connect/intentions/check", noBody, serviceScope, []method{get((*API).intentionCheck)}},
		{"/v1/connect/intentions/exact", documentBody, serviceScope,
			[]method{get((*API).exactGet), put((*API).exactPut), del((*API).exactDelete)}},
	}
}

// endpoint is a route made ready: its name for logs and metrics, and its Allow header.
type endpoint struct {
	route
	// name is the path's template, with {rest} for what a prefix leaves open.
	name  string
	allow []string
	// order numbers the endpoint for the metrics made in advance.
	order int
}

func (e *endpoint) find(name string) handler {
	for _, m := range e.methods {
		if m.name == name {
			return m.handle
		}
	}
	return nil
}

// routeTable finds the endpoint of a path.
type routeTable struct {
	list   []*endpoint
	exact  map[string]*endpoint
	prefix map[string]*endpoint
}

func newRouteTable(list []route) *routeTable {
	t := &routeTable{exact: map[string]*endpoint{}, prefix: map[string]*endpoint{}}
	for i, r := range list {
		names := []string{http.MethodOptions}
		for _, m := range r.methods {
			names = append(names, m.name)
		}
		e := &endpoint{route: r, name: r.path, allow: []string{strings.Join(names, ",")}, order: i}
		t.list = append(t.list, e)
		if strings.HasSuffix(r.path, "/") {
			e.name += "{rest}"
			t.prefix[r.path] = e
		} else {
			t.exact[r.path] = e
		}
	}
	return t
}

// match returns the endpoint of a path and what follows a prefix, nil when there is none: the exact path goes
// first, then the longest prefix.
func (t *routeTable) match(path string) (*endpoint, string) {
	if e := t.exact[path]; e != nil {
		return e, ""
	}
	for i := len(path); i > 0; {
		i = strings.LastIndexByte(path[:i], '/')
		if i < 0 {
			break
		}
		if e := t.prefix[path[:i+1]]; e != nil {
			return e, path[i+1:]
		}
	}
	return nil, ""
}

// below tells whether only path+"/" is an endpoint, to which a client is then sent.
func (t *routeTable) below(path string) bool { return t.prefix[path+"/"] != nil }
