package ads

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// The resource types, as they are named on the wire.
const (
	ClusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	EndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	ListenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	RouteType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	SecretType   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// kind is what the client does with one type of resource.
type kind struct {
	url string
	// wanted are the names to subscribe to; nil is a wildcard type, of which everything is wanted.
	wanted func(*resource.State) []string
	// put decodes a resource and stores it. On an error the state is as it was.
	put func(s *resource.State, name string, body *anypb.Any) error
	// drop removes a resource.
	drop func(s *resource.State, name string)
}

// kinds lists the types in the order in which they are asked for: what listeners lead to comes before them.
func kinds() []kind {
	return []kind{
		{url: ClusterType, put: putter(resource.DecodeCluster,
			func(s *resource.State, c *resource.Cluster) (string, map[string]*resource.Cluster) {
				return c.Name, s.Clusters
			}),
			drop: func(s *resource.State, name string) { delete(s.Clusters, name) }},
		{url: EndpointType, wanted: (*resource.State).EndpointsNames, put: putter(resource.DecodeEndpoints,
			func(s *resource.State, e *resource.Endpoints) (string, map[string]*resource.Endpoints) {
				return e.Name, s.Endpoints
			}),
			drop: func(s *resource.State, name string) { delete(s.Endpoints, name) }},
		{url: SecretType, wanted: (*resource.State).SecretNames, put: putter(resource.DecodeSecret,
			func(s *resource.State, x *resource.Secret) (string, map[string]*resource.Secret) {
				return x.Name, s.Secrets
			}),
			drop: func(s *resource.State, name string) { delete(s.Secrets, name) }},
		{url: ListenerType, put: putter(resource.DecodeListener,
			func(s *resource.State, l *resource.Listener) (string, map[string]*resource.Listener) {
				return l.Name, s.Listeners
			}),
			drop: func(s *resource.State, name string) { delete(s.Listeners, name) }},
		{url: RouteType, wanted: (*resource.State).RouteNames, put: putter(resource.DecodeRoute,
			func(s *resource.State, r *resource.Route) (string, map[string]*resource.Route) {
				return r.Name, s.Routes
			}),
			drop: func(s *resource.State, name string) { delete(s.Routes, name) }},
	}
}

// putter makes the put of a kind from its decoder and from where the state keeps it.
func putter[M any, P interface {
	*M
	proto.Message
}, R any](decode func(P) (*R, error), place func(*resource.State, *R) (string, map[string]*R)) func(*resource.State, string, *anypb.Any) error {
	return func(s *resource.State, name string, body *anypb.Any) error {
		m := P(new(M))
		if body == nil {
			return fault.New(fault.Invalid, "it has no body")
		}
		if err := body.UnmarshalTo(m); err != nil {
			return fault.New(fault.Invalid, "%v", err)
		}
		// The generated rules come first: they keep what is absurd away from the decoder.
		if v, ok := any(m).(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return fault.New(fault.Invalid, "%v", err)
			}
		}
		r, err := decode(m)
		if err != nil {
			return err
		}
		own, into := place(s, r)
		if own != name {
			return fault.New(fault.Invalid, "it calls itself %q", own)
		}
		into[name] = r
		return nil
	}
}
