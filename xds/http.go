package xds

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lictor-mesh/lictor/model/fault"
)

const httpManager = "envoy.filters.network.http_connection_manager"

// publicHTTP receives requests: authorization for each, then the local application.
func publicHTTP(p *packer, s *Snapshot, o proxyOptions, problems *[]error) *listenerv3.Filter {
	action := routeTo(localCluster)
	action.Timeout, action.IdleTimeout = durationOf(o.requestTimeout), durationOf(o.idleTimeout)
	filters := protocolFilters(p, o.protocol)
	filters = append(filters, httpFilter(p, "envoy.filters.http.rbac", &httprbacv3.RBAC{Rules: rbacRules(s)}))
	m := manager(publicListenerName, o.protocol, inlineRoute(publicListenerName, publicListenerName, action))
	m.NormalizePath = wrapperspb.Bool(true)
	if o.protocol != protoGRPC {
		filters = append(filters, httpFilter(p, "envoy.filters.http.header_to_metadata", callerMetadata()))
		m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_APPEND_FORWARD
		m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
			Subject: wrapperspb.Bool(true), Cert: true, Chain: true, Dns: true, Uri: true,
		}
	}
	m.HttpFilters = append(filters, router(p))
	if o.tracing != "" {
		custom := new(hcmv3.HttpConnectionManager_Tracing)
		if err := parseEscape(o.tracing, custom); err != nil {
			*problems = append(*problems, fault.New(fault.Invalid, "option \"envoy_listener_tracing_json\" is ignored: %v", err))
		} else {
			m.Tracing = custom
		}
	}
	return networkFilter(p, httpManager, m)
}

// upstreamHTTP sends the requests of the local application to the one cluster of the upstream.
func upstreamHTTP(p *packer, id string, target Target, o upstreamOptions) *listenerv3.Filter {
	m := manager("upstream."+target.statName(), o.protocol, inlineRoute(id, target.statName(), routeTo(target.Cluster())))
	m.HttpFilters = append(protocolFilters(p, o.protocol), router(p))
	return networkFilter(p, httpManager, m)
}

func manager(stat string, proto protocol, routes *routev3.RouteConfiguration) *hcmv3.HttpConnectionManager {
	m := &hcmv3.HttpConnectionManager{
		StatPrefix:     stat,
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes},
		Tracing:        &hcmv3.HttpConnectionManager_Tracing{RandomSampling: &typev3.Percent{}},
		UpgradeConfigs: []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
	}
	if proto.isHTTP2() {
		m.Http2ProtocolOptions = &corev3.Http2ProtocolOptions{}
	}
	return m
}

func routeTo(cluster string) *routev3.RouteAction {
	return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}
}

func inlineRoute(name, host string, action *routev3.RouteAction) *routev3.RouteConfiguration {
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{
		Name: host, Domains: []string{"*"},
		Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: action},
		}},
	}}}
}

// protocolFilters come first in the chain of gRPC.
func protocolFilters(p *packer, proto protocol) []*hcmv3.HttpFilter {
	if proto != protoGRPC {
		return nil
	}
	return []*hcmv3.HttpFilter{
		httpFilter(p, "envoy.filters.http.grpc_stats", &grpcstatsv3.FilterConfig{
			PerMethodStatSpecifier: &grpcstatsv3.FilterConfig_StatsForAllMethods{StatsForAllMethods: wrapperspb.Bool(true)},
		}),
		httpFilter(p, "envoy.filters.http.grpc_http1_bridge", &bridgev3.Config{}),
	}
}

func router(p *packer) *hcmv3.HttpFilter {
	return httpFilter(p, "envoy.filters.http.router", &routerv3.Router{})
}

func httpFilter(p *packer, name string, m proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: p.pack(m)}}
}

// callerPattern takes apart the caller's identity in the x-forwarded-client-cert header.
const callerPattern = `.*URI=spiffe://([^/]+.[^/]+)(?:/ap/([^/]+))?/ns/([^/]+)/dc/([^/]+)/svc/([^/;,]+).*`

// callerMetadata keeps who called as metadata "consul" of the request, for access logs and extensions.
func callerMetadata() *metadatav3.Config {
	out := new(metadatav3.Config)
	for i, key := range []string{"trust-domain", "partition", "namespace", "datacenter", "service"} {
		out.RequestRules = append(out.RequestRules, &metadatav3.Config_Rule{
			Header: "x-forwarded-client-cert",
			OnHeaderPresent: &metadatav3.Config_KeyValuePair{
				MetadataNamespace: "consul", Key: key,
				RegexValueRewrite: &matcherv3.RegexMatchAndSubstitute{
					Pattern: &matcherv3.RegexMatcher{Regex: callerPattern}, Substitution: `\` + strconv.Itoa(i+1),
				},
			},
		})
	}
	return out
}
