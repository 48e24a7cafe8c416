package ads

import (
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/lictor-mesh/lictor/proxy/resource"
)

// held is what the client has accepted, across streams.
type held struct {
	state *resource.State
	// versions are those of the accepted resources: type, name, version.
	versions map[string]map[string]string
}

func newHeld() held {
	return held{state: resource.NewState(), versions: make(map[string]map[string]string)}
}

// maxRefusal bounds the reason of a refusal, in bytes: it travels, and is logged at the other end.
const maxRefusal = 4096

// take puts a response's resources into the state. The text tells which were refused and why; it is empty when all
// were accepted.
func (h *held) take(types []kind, resp *discoveryv3.DeltaDiscoveryResponse) (refusal string) {
	i := slices.IndexFunc(types, func(k kind) bool { return k.url == resp.GetTypeUrl() })
	if i < 0 {
		return "this proxy did not ask for " + resp.GetTypeUrl()
	}
	versions := h.versions[resp.GetTypeUrl()]
	if versions == nil {
		versions = make(map[string]string)
		h.versions[resp.GetTypeUrl()] = versions
	}
	var reasons []string
	for _, r := range resp.GetResources() {
		if err := types[i].put(h.state, r.GetName(), r.GetResource()); err != nil {
			reasons = append(reasons, r.GetName()+": "+err.Error())
			continue
		}
		versions[r.GetName()] = r.GetVersion()
	}
	for _, name := range resp.GetRemovedResources() {
		types[i].drop(h.state, name)
		delete(versions, name)
	}
	refusal = strings.Join(reasons, "; ")
	return refusal[:min(len(refusal), maxRefusal)]
}

// session is one stream: what was subscribed to on it.
type session struct {
	client     *Client
	stream     discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	subscribed map[string]map[string]bool
	sent       bool
}

// send puts the node on the first request of the stream, as the protocol asks.
func (s *session) send(req *discoveryv3.DeltaDiscoveryRequest) error {
	if !s.sent {
		req.Node, s.sent = s.client.node, true
	}
	return s.stream.Send(req)
}

// cause replaces the io.EOF of a failed Send by the stream's own status.
func (s *session) cause(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	for {
		if _, err := s.stream.Recv(); err != nil {
			return err
		}
	}
}

// subscribeAll opens the stream: wildcards first, each with the versions that are held.
func (s *session) subscribeAll() error {
	for _, k := range s.client.types {
		if k.wanted != nil {
			continue
		}
		// A first request that subscribes to nothing by name is a wildcard subscription.
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: k.url, InitialResourceVersions: maps.Clone(s.client.held.versions[k.url])}
		if err := s.send(req); err != nil {
			return err
		}
	}
	return s.follow()
}

// follow brings the subscriptions by name in line with what the state refers to.
func (s *session) follow() error {
	for _, k := range s.client.types {
		if k.wanted == nil {
			continue
		}
		wanted := k.wanted(s.client.held.state)
		have := s.subscribed[k.url]
		first := have == nil
		if first && len(wanted) == 0 {
			continue // an empty first request would be a wildcard
		}
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: k.url}
		next := make(map[string]bool, len(wanted))
		for _, name := range wanted {
			next[name] = true
			if !have[name] {
				req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
			}
		}
		for name := range have {
			if !next[name] {
				req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, name)
			}
		}
		slices.Sort(req.ResourceNamesUnsubscribe)
		if first {
			req.InitialResourceVersions = s.resume(k, next)
		}
		for _, name := range req.ResourceNamesUnsubscribe {
			k.drop(s.client.held.state, name)
			delete(s.client.held.versions[k.url], name)
		}
		s.subscribed[k.url] = next
		if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) == 0 {
			continue
		}
		if err := s.send(req); err != nil {
			return err
		}
	}
	return nil
}

// resume returns the held versions of the wanted resources. Others are forgotten: nobody would tell of their changes.
func (s *session) resume(k kind, wanted map[string]bool) map[string]string {
	versions := s.client.held.versions[k.url]
	for name := range versions {
		if !wanted[name] {
			k.drop(s.client.held.state, name)
			delete(versions, name)
		}
	}
	return maps.Clone(versions)
}

// answer acknowledges a response or refuses it, and then asks for what the new state refers to.
func (s *session) answer(resp *discoveryv3.DeltaDiscoveryResponse, refusal string) error {
	c := s.client
	short := strings.TrimPrefix(path.Ext(resp.GetTypeUrl()), ".")
	c.m.responses.WithLabelValues(short).Inc()
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}
	if refusal != "" {
		c.m.refused.WithLabelValues(short).Inc()
		c.log.Error("refused what the control plane sent, the last good version stays", "type", short, "reason", refusal)
		req.ErrorDetail = &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: refusal}
	} else {
		c.log.Debug("accepted", "type", short, "resources", len(resp.GetResources()), "removed", len(resp.GetRemovedResources()))
	}
	if err := s.send(req); err != nil {
		return err
	}
	return s.follow()
}
