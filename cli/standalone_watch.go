package cli

import (
	"context"
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/hashicorp/consul/api"
	"google.golang.org/protobuf/proto"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/proxy/resource"
	"github.com/lictor-mesh/lictor/xds"
)

// change is one answer of the agent: how it alters the facts, or why there is none.
type change struct {
	what  string
	apply func(*facts)
	err   error
}

// asker asks the agent for one fact, blocking by the index in q.
type asker func(q *api.QueryOptions) (func(*facts), *api.QueryMeta, error)

// watchAll starts one goroutine for each thing to know; they end with ctx.
func (s *standAlone) watchAll(ctx context.Context, changes chan<- change) {
	service := string(s.proxy.Proxy.DestinationServiceName)
	watch := func(what string, ask asker) { go watchOne(ctx, what, ask, changes) }
	watch("agent", s.askSelf)
	watch("roots", s.askRoots)
	watch("certificate", func(q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) { return s.askLeaf(service, q) })
	watch("intentions", func(q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) { return s.askIntentions(service, q) })
	asked := make(map[string]bool)
	for _, u := range s.upstream {
		if !asked[u.name] {
			asked[u.name] = true
			watch("instances of "+u.name, func(q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) { return s.askInstances(u.name, q) })
		}
	}
}

// watchOne asks until ctx ends. After an error it pauses, longer each time; an index that went back starts anew.
func watchOne(ctx context.Context, what string, ask asker, changes chan<- change) {
	var index uint64
	pause := firstRetry
	for ctx.Err() == nil {
		apply, meta, err := ask((&api.QueryOptions{WaitIndex: index}).WithContext(ctx))
		c := change{what: what, apply: apply, err: err}
		if err == nil && index != 0 && meta.LastIndex == index {
			continue // the wait ended without a change
		}
		select {
		case <-ctx.Done():
			return
		case changes <- c:
		}
		if err == nil {
			pause = firstRetry
			if index = meta.LastIndex; index > 0 {
				continue
			}
			return // answered once and for all
		}
		index = 0
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastRetry)
	}
}

func (s *standAlone) askSelf(*api.QueryOptions) (func(*facts), *api.QueryMeta, error) {
	self, err := s.cl.Agent().Self()
	if err != nil {
		return nil, nil, err
	}
	dc, _ := self["Config"]["Datacenter"].(string)
	return func(f *facts) { f.datacenter = dc }, &api.QueryMeta{}, nil
}

func (s *standAlone) askRoots(q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) {
	list, meta, err := s.cl.Agent().ConnectCARoots(q)
	if err != nil {
		return nil, nil, err
	}
	roots := &model.CARoots{ActiveRootID: list.ActiveRootID, TrustDomain: list.TrustDomain}
	for _, r := range list.Roots {
		roots.Roots = append(roots.Roots, &model.CARoot{ID: r.ID, Name: r.Name, RootCert: r.RootCertPEM, Active: r.Active})
	}
	return func(f *facts) { f.roots = roots }, meta, nil
}

func (s *standAlone) askLeaf(service string, q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) {
	cert, meta, err := s.cl.Agent().ConnectCALeaf(service, q)
	if err != nil {
		return nil, nil, err
	}
	leaf := &model.LeafCert{SerialNumber: cert.SerialNumber, CertPEM: cert.CertPEM, PrivateKeyPEM: model.NewSecret(cert.PrivateKeyPEM),
		Service: model.ServiceName(cert.Service), ServiceURI: cert.ServiceURI, ValidAfter: cert.ValidAfter, ValidBefore: cert.ValidBefore}
	return func(f *facts) { f.leaf = leaf }, meta, nil
}

func (s *standAlone) askIntentions(service string, q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) {
	matches, meta, err := s.cl.Connect().IntentionMatch(&api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{service}}, q)
	if err != nil {
		return nil, nil, err
	}
	var ixns []*model.Intention
	for _, i := range matches[service] {
		ixn := &model.Intention{SourceName: model.ServiceName(i.SourceName), SourcePeer: i.SourcePeer, Action: model.Action(i.Action),
			DestinationName: model.ServiceName(i.DestinationName), Precedence: i.Precedence}
		for _, p := range i.Permissions {
			// What a permission asks of requests is not looked at: this proxy refuses the connection.
			ixn.Permissions = append(ixn.Permissions, model.IntentionPermission{Action: model.Action(p.Action)})
		}
		ixns = append(ixns, ixn)
	}
	allow := meta.DefaultACLPolicy != "deny"
	return func(f *facts) { f.intentions, f.allowed, f.defaultAllow = ixns, true, allow }, meta, nil
}

func (s *standAlone) askInstances(service string, q *api.QueryOptions) (func(*facts), *api.QueryMeta, error) {
	entries, meta, err := s.cl.Health().Connect(service, "", false, q)
	if err != nil {
		return nil, nil, err
	}
	instances := make([]*model.Instance, 0, len(entries))
	for _, e := range entries {
		instances = append(instances, instanceOf(e))
	}
	return func(f *facts) { f.instances[service] = instances }, meta, nil
}

// instanceOf takes from an answer what endpoints are made of.
func instanceOf(e *api.ServiceEntry) *model.Instance {
	in := &model.Instance{
		Node: &model.Node{ID: model.NodeID(e.Node.ID), Node: model.NodeName(e.Node.Node), Address: e.Node.Address},
		Service: &model.Service{Kind: model.ServiceKind(e.Service.Kind), ID: model.ServiceID(e.Service.ID),
			Service: model.ServiceName(e.Service.Service), Address: e.Service.Address, Port: e.Service.Port, SocketPath: e.Service.SocketPath,
			Weights: model.Weights{Passing: e.Service.Weights.Passing, Warning: e.Service.Weights.Warning}},
	}
	for _, c := range e.Checks {
		in.Checks = append(in.Checks, &model.Check{CheckID: model.CheckID(c.CheckID), Status: model.Status(c.Status)})
	}
	return in
}

// decode reads the resources as an ADS client would. The public listener is left out where none was asked for.
func (s *standAlone) decode(built *xds.Resources) (*resource.State, error) {
	for _, problem := range built.Problems {
		s.log.Warn("configuration", "problem", problem)
	}
	state := resource.NewState()
	var err error
	each(built, xds.TypeSecret, &err, func(m *tlsv3.Secret) error {
		r, err := resource.DecodeSecret(m)
		state.Secrets[m.GetName()] = r
		return err
	})
	each(built, xds.TypeCluster, &err, func(m *clusterv3.Cluster) error {
		r, err := resource.DecodeCluster(m)
		state.Clusters[m.GetName()] = r
		return err
	})
	each(built, xds.TypeEndpoint, &err, func(m *endpointv3.ClusterLoadAssignment) error {
		r, err := resource.DecodeEndpoints(m)
		state.Endpoints[m.GetClusterName()] = r
		return err
	})
	each(built, xds.TypeListener, &err, func(m *listenerv3.Listener) error {
		r, err := resource.DecodeListener(m)
		if err == nil && (s.inbound || !r.Inbound()) {
			state.Listeners[m.GetName()] = r
		}
		return err
	})
	return state, err
}

// message is a pointer to a protobuf message that Envoy resources are made of.
type message[T any] interface {
	*T
	proto.Message
}

// each hands every resource of a type to take, until one fails.
func each[T any, M message[T]](built *xds.Resources, t xds.Type, failed *error, take func(M) error) {
	for _, r := range built.List(t) {
		if *failed != nil {
			return
		}
		m := M(new(T))
		err := r.Body.UnmarshalTo(m)
		if err == nil {
			err = take(m)
		}
		if err != nil {
			*failed = fmt.Errorf("%s %q: %w", t, r.Name, err)
		}
	}
}
