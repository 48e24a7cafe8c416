package xds

import (
	"net/netip"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lictor-mesh/lictor/model/fault"
)

// localCluster names the cluster of the application behind the proxy.
const localCluster = "local_app"

// appCluster dials the local application, in plain text over loopback or a socket.
func appCluster(s *Snapshot, o proxyOptions, problems *[]error) (*Resource, error) {
	address, err := appAddress(s)
	if err != nil {
		return nil, err
	}
	var p packer
	c := &clusterv3.Cluster{
		Name:                 localCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:       durationpb.New(o.connectTimeout),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: localCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
			}}}},
		},
	}
	if o.maxInbound > 0 {
		c.CircuitBreakers = breakers(limits{connections: &o.maxInbound})
	}
	if o.protocol.isHTTP2() {
		// The application is spoken to as the caller spoke: a gRPC service may offer HTTP/1.1 beside.
		c.TypedExtensionProtocolOptions = httpOptions(&p, &upstreamhttpv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
				UseDownstreamProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
					HttpProtocolOptions: &corev3.Http1ProtocolOptions{}, Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		})
	}
	if custom := customCluster("envoy_local_cluster_json", o.localCluster, problems); custom != nil {
		custom.Name = localCluster // what the public listener refers to
		c = custom
	}
	if p.err != nil {
		return nil, fault.New(fault.Invalid, "xDS resource %q: %v", localCluster, p.err)
	}
	return newResource(localCluster, c)
}

func appAddress(s *Snapshot) (*corev3.Address, error) {
	px := s.Proxy.Proxy
	if px.LocalServiceSocketPath != "" {
		return pipeAddress(px.LocalServiceSocketPath, 0), nil
	}
	host := px.LocalServiceAddress
	if host == "" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return nil, fault.New(fault.Invalid, "xDS resource %q: LocalServiceAddress %q is no IP address", localCluster, host).
			WithHint("set LocalServiceAddress of the proxy to the IP address on which the service listens")
	}
	return socketAddress(host, px.LocalServicePort), nil
}

// upstreamCluster dials the instances of an upstream's target over mutual TLS.
func upstreamCluster(s *Snapshot, u *Upstream, o upstreamOptions, own proxyOptions, problems *[]error) (*Resource, *clusterv3.Cluster, error) {
	target := s.Target(u)
	name := target.Cluster()
	var p packer
	eds := overADS()
	c := &clusterv3.Cluster{
		Name:                 name,
		AltStatName:          name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: eds},
		ConnectTimeout:       durationpb.New(o.connectTimeout),
		CircuitBreakers:      &clusterv3.CircuitBreakers{},
		OutlierDetection:     outlierDetection(o.passive),
		// With panic routing off, unhealthy endpoints get no traffic however few healthy ones remain.
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{}},
	}
	if own.fetchTimeout != nil {
		eds.InitialFetchTimeout = durationpb.New(*own.fetchTimeout)
	}
	if o.limits != nil {
		c.CircuitBreakers = breakers(*o.limits)
	}
	if o.protocol.isHTTP2() {
		c.TypedExtensionProtocolOptions = httpOptions(&p, &upstreamhttpv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
				ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
					ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
						Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
					},
				},
			},
		})
	}
	if custom := customCluster("envoy_cluster_json", o.cluster, problems); custom != nil {
		custom.Name = name // what the upstream's listener refers to
		c = custom
	}
	// Also of an operator's own cluster: there is no way to dial the mesh without knowing who answers.
	c.TransportSocketMatches = nil
	c.TransportSocket = upstreamTLS(&p, s.Proxy.Proxy.DestinationServiceName, target)
	if p.err != nil {
		return nil, nil, fault.New(fault.Invalid, "xDS resource %q: %v", name, p.err)
	}
	r, err := newResource(name, c)
	return r, c, err
}

func breakers(l limits) *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: uintOf(l.connections), MaxPendingRequests: uintOf(l.pending), MaxRequests: uintOf(l.requests),
	}}}
}

func outlierDetection(c passiveCheck) *clusterv3.OutlierDetection {
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx: uintOf(c.maxFailures), Interval: durationOf(c.interval), BaseEjectionTime: durationOf(c.baseEjection),
		MaxEjectionPercent: uintOf(c.ejectionPercent), EnforcingConsecutive_5Xx: uintOf(c.enforcing),
	}
}

// uintOf keeps nil, which leaves Envoy's default.
func uintOf(n *uint32) *wrapperspb.UInt32Value {
	if n == nil {
		return nil
	}
	return wrapperspb.UInt32(*n)
}

func httpOptions(p *packer, o *upstreamhttpv3.HttpProtocolOptions) map[string]*anypb.Any {
	return map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": p.pack(o)}
}

// customCluster parses an escape hatch. A bad one is a problem, and the generated cluster is used.
func customCluster(key, text string, problems *[]error) *clusterv3.Cluster {
	if text == "" {
		return nil
	}
	c := new(clusterv3.Cluster)
	if err := parseEscape(text, c); err != nil {
		*problems = append(*problems, fault.New(fault.Invalid, "option %q is ignored: %v", key, err))
		return nil
	}
	return c
}
