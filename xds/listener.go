package xds

import (
	"fmt"
	"net/netip"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	netrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lictor-mesh/lictor/model/fault"
)

// publicListenerName is the prefix of the public listener's name and its statistics.
const publicListenerName = "public_listener"

// publicListener is where other proxies connect: mutual TLS, authorization, then the local application.
func publicListener(s *Snapshot, o proxyOptions, problems *[]error) (*Resource, error) {
	address, suffix, err := publicAddress(s, o)
	if err != nil {
		return nil, err
	}
	service := s.Proxy.Proxy.DestinationServiceName
	name := publicListenerName + ":" + suffix
	var p packer
	l := &listenerv3.Listener{
		Name:             name,
		Address:          address,
		TrafficDirection: corev3.TrafficDirection_INBOUND,
		FilterChains:     []*listenerv3.FilterChain{{Filters: publicFilters(&p, s, o, problems)}},
	}
	if o.exactBalance {
		l.ConnectionBalanceConfig = exactBalance()
	}
	if custom := customListener("envoy_public_listener_json", o.publicListener, problems); custom != nil {
		// Whatever the operator wrote, authorization comes first in every chain: an escape hatch for
		// features must not be one from intentions.
		l = custom
		for _, c := range allChains(l) {
			c.Filters = append([]*listenerv3.Filter{networkRBAC(&p, s)}, c.Filters...)
		}
	}
	for _, c := range allChains(l) {
		c.TransportSocket = downstreamTLS(&p, service, o.protocol)
		if o.handshakeTimeout != nil {
			c.TransportSocketConnectTimeout = durationpb.New(*o.handshakeTimeout)
		}
	}
	if p.err != nil {
		return nil, fault.New(fault.Invalid, "xDS resource %q: %v", l.Name, p.err)
	}
	return newResource(l.Name, l)
}

// allChains returns every filter chain of a listener, the default one included.
func allChains(l *listenerv3.Listener) []*listenerv3.FilterChain {
	if l.DefaultFilterChain == nil {
		return l.FilterChains
	}
	return append([]*listenerv3.FilterChain{l.DefaultFilterChain}, l.FilterChains...)
}

func publicAddress(s *Snapshot, o proxyOptions) (*corev3.Address, string, error) {
	if o.bindPort == 0 && s.Proxy.SocketPath != "" {
		return pipeAddress(s.Proxy.SocketPath, 0), s.Proxy.SocketPath, nil
	}
	suffix := hostPort(o.bindAddress, o.bindPort)
	if _, err := netip.ParseAddr(o.bindAddress); err != nil {
		return nil, "", fault.New(fault.Invalid, "xDS resource \"%s:%s\": %q is no IP address to listen on", publicListenerName, suffix, o.bindAddress).
			WithHint("set bind_address in the proxy's config to an IP address of this host")
	}
	return socketAddress(o.bindAddress, o.bindPort), suffix, nil
}

func publicFilters(p *packer, s *Snapshot, o proxyOptions, problems *[]error) []*listenerv3.Filter {
	var filters []*listenerv3.Filter
	limit := func() {
		if o.maxInbound > 0 {
			filters = append(filters, networkFilter(p, "envoy.filters.network.connection_limit", &limitv3.ConnectionLimit{
				StatPrefix: "inbound_connection_limit", MaxConnections: wrapperspb.UInt64(uint64(o.maxInbound)),
			}))
		}
	}
	if o.protocol.isHTTP() {
		limit()
		return append(filters, publicHTTP(p, s, o, problems))
	}
	// Authorization before the limit: callers that may not connect do not use up the places of others.
	filters = append(filters, networkRBAC(p, s))
	limit()
	tcp := &tcpv3.TcpProxy{
		StatPrefix: publicListenerName, ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: localCluster},
		IdleTimeout: durationOf(o.idleTimeout),
	}
	return append(filters, networkFilter(p, "envoy.filters.network.tcp_proxy", tcp))
}

func networkRBAC(p *packer, s *Snapshot) *listenerv3.Filter {
	return networkFilter(p, "envoy.filters.network.rbac", &netrbacv3.RBAC{Rules: rbacRules(s), StatPrefix: "connect_authz"})
}

// upstreamListener is where the local application reaches an upstream. It is nil for an upstream that has
// no address to listen on.
func upstreamListener(s *Snapshot, u *Upstream, o upstreamOptions, problems *[]error) (*Resource, error) {
	address, name, err := upstreamAddress(u, problems)
	if address == nil || err != nil {
		return nil, err
	}
	target := s.Target(u)
	var p packer
	filter := networkFilter(&p, "envoy.filters.network.tcp_proxy", &tcpv3.TcpProxy{
		StatPrefix: "upstream." + target.statName(), ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: target.Cluster()},
	})
	if o.protocol.isHTTP() {
		filter = upstreamHTTP(&p, upstreamID(u.As), target, o)
	}
	l := &listenerv3.Listener{
		Name:             name,
		Address:          address,
		TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains:     []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{filter}}},
	}
	if o.exactBalance {
		l.ConnectionBalanceConfig = exactBalance()
	}
	if custom := customListener("envoy_listener_json", o.listener, problems); custom != nil {
		l = custom
	}
	if p.err != nil {
		return nil, fault.New(fault.Invalid, "xDS resource %q: %v", l.Name, p.err)
	}
	return newResource(l.Name, l)
}

func upstreamAddress(u *Upstream, problems *[]error) (*corev3.Address, string, error) {
	id := upstreamID(u.As)
	switch {
	case u.As.LocalBindSocketPath != "":
		return pipeAddress(u.As.LocalBindSocketPath, modeOf(u.As, problems)), id + ":" + u.As.LocalBindSocketPath, nil
	case u.As.LocalBindPort == 0:
		return nil, "", nil
	}
	host := u.As.LocalBindAddress
	if host == "" {
		host = "127.0.0.1"
	}
	name := id + ":" + hostPort(host, u.As.LocalBindPort)
	if _, err := netip.ParseAddr(host); err != nil {
		return nil, "", fault.New(fault.Invalid, "xDS resource %q: %q is no IP address to listen on", name, host).
			WithHint("set LocalBindAddress of the upstream to an IP address of this host")
	}
	return socketAddress(host, u.As.LocalBindPort), name, nil
}

func networkFilter(p *packer, name string, m proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: p.pack(m)}}
}

func exactBalance() *listenerv3.Listener_ConnectionBalanceConfig {
	return &listenerv3.Listener_ConnectionBalanceConfig{
		BalanceType: &listenerv3.Listener_ConnectionBalanceConfig_ExactBalance_{
			ExactBalance: &listenerv3.Listener_ConnectionBalanceConfig_ExactBalance{},
		},
	}
}

// customListener parses an escape hatch. A bad one is a problem, and the generated listener is used.
func customListener(key, text string, problems *[]error) *listenerv3.Listener {
	if text == "" {
		return nil
	}
	l := new(listenerv3.Listener)
	err := parseEscape(text, l)
	switch {
	case err != nil:
	case l.Name == "":
		err = fmt.Errorf("the listener has no name")
	case len(allChains(l)) == 0: // and so no place for authorization
		err = fmt.Errorf("the listener has no filter chain")
	}
	if err != nil {
		*problems = append(*problems, fault.New(fault.Invalid, "option %q is ignored: %v", key, err))
		return nil
	}
	return l
}

// durationOf keeps nil, which leaves Envoy's default.
func durationOf(d *time.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	return durationpb.New(*d)
}
