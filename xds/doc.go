// Package xds tells data planes what to do: it turns what the control plane knows about one proxy (a
// Snapshot) into Envoy resources, and serves them over the delta variant of the aggregated discovery
// service, to Envoy and to the native proxy alike.
//
// # Generation
//
// Build is pure: a Snapshot gives Resources, marshalled deterministically (nested typed_config too), so
// that equal input gives equal bytes. The version of a resource is a hash of its bytes. Every resource and
// every message nested in it passes Envoy's own validation rules, or is left out and named in
// Resources.Problems: a data plane is never sent what it must refuse. A bad opaque option falls back to its
// default and is named there too.
//
// Endpoints are built once for each change of a service, by whoever watches it, and shared by pointer
// between the snapshots of all proxies that dial it: one marshalling, however many subscribers.
//
// Certificates travel as secrets (SecretRoots and LeafSecret), so that a rotation touches no listener, no
// cluster and no connection. Authorization is one RBAC policy for each intention that differs from the
// default, named by intention.RuleName, so that a denial names its rule; rules on requests (permissions,
// JWT) deny the connection. Intentions about peers give no policy: their certificates are of another trust
// domain and fail the handshake.
//
// # Serving
//
// Only delta ADS is served; the state-of-the-world variant answers Unimplemented. The protocol's rules are
// a pure type, conversation, that takes requests, resources and the time, and gives responses: subscription
// by name and wildcard, nonces, ACK and NACK, resuming by initial_resource_versions, removal. Changes are
// pushed make-before-break: secrets, clusters and endpoints at once; listeners and routes when those were
// answered; what goes away last. Waiting is bounded, and a NACK holds nothing back: a cluster that a proxy
// refuses must not keep a new intention from it. One response for each type is on its way at a time; newer
// changes replace what waits behind it.
//
// go-control-plane's types are used, its delta stream server is not: that one answers each type by itself,
// so neither the order between types nor removal last can be held, and it drops ACKs, which the status of a
// proxy and the draining of endpoints (Server.EndpointsReleased) need.
package xds
