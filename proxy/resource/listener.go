package resource

import (
	"net"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	netrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/balance"
)

// DecodeListener reads an LDS resource.
func DecodeListener(m *listenerv3.Listener) (*Listener, error) {
	l := &Listener{Name: m.GetName()}
	if err := l.decode(m); err != nil {
		return nil, in(err, "listener %q", l.Name)
	}
	return l, nil
}

func (l *Listener) decode(m *listenerv3.Listener) (err error) {
	// Statistics, buffer sizes and how accepted sockets are spread over threads are the proxy's own business; its
	// access log is its metrics and its log.
	err = only(m, "name", "address", "stat_prefix", "filter_chains", "traffic_direction", "connection_balance_config",
		"per_connection_buffer_limit_bytes", "enable_reuse_port", "access_log")
	if err != nil {
		return err
	}
	if l.Address, err = decodeAddress(m.GetAddress()); err != nil {
		return err
	}
	l.SocketMode = m.GetAddress().GetPipe().GetMode()
	if len(m.GetFilterChains()) != 1 {
		return fault.New(fault.Invalid, "this proxy takes exactly one filter chain, not %d", len(m.GetFilterChains()))
	}
	chain := m.GetFilterChains()[0]
	if err := only(chain, "filters", "transport_socket", "name", "transport_socket_connect_timeout"); err != nil {
		return err
	}
	if err := l.decodeServerTLS(chain.GetTransportSocket()); err != nil {
		return err
	}
	inbound := m.GetTrafficDirection() == corev3.TrafficDirection_INBOUND
	if inbound && l.TLS == nil {
		return fault.New(fault.Invalid, "an inbound listener must demand mutual TLS")
	}
	for i, f := range chain.GetFilters() {
		if err := l.decodeFilter(f, i == len(chain.GetFilters())-1); err != nil {
			return in(err, "filter %q", f.GetName())
		}
	}
	if l.Cluster == "" && l.Route == "" {
		return fault.New(fault.Invalid, "the filter chain leads to no cluster")
	}
	if l.TLS == nil && len(l.Authorization) > 0 {
		return fault.New(fault.Invalid, "callers without a certificate cannot be authorized")
	}
	return nil
}

// decodeFilter reads one network filter. The last of a chain is the one that leads to a cluster.
func (l *Listener) decodeFilter(f *listenerv3.Filter, last bool) error {
	var err error
	config := f.GetTypedConfig()
	kind := string(config.MessageName())
	if terminal := kind == tcpProxy || kind == connectionManager; terminal != last {
		return fault.New(fault.Invalid, "a chain ends with a tcp_proxy or an http_connection_manager, and has no other")
	}
	switch kind {
	case "envoy.extensions.filters.network.rbac.v3.RBAC":
		var m netrbacv3.RBAC
		if err := unpack(config, &m); err != nil {
			return err
		}
		// Shadow rules decide nothing; open connections are always decided anew, as CONTINUOUS asks.
		if err := only(&m, "rules", "stat_prefix", "enforcement_type", "shadow_rules", "shadow_rules_stat_prefix"); err != nil {
			return err
		}
		l.Authorization, err = decodeRules(l.Authorization, m.GetRules())
		return err
	case "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit":
		var m limitv3.ConnectionLimit
		if err := unpack(config, &m); err != nil {
			return err
		}
		if err := only(&m, "max_connections", "stat_prefix"); err != nil {
			return err
		}
		l.MaxConnections = int(min(m.GetMaxConnections().GetValue(), 1<<30))
		return nil
	case tcpProxy:
		var m tcpv3.TcpProxy
		if err := unpack(config, &m); err != nil {
			return err
		}
		return l.decodeTCPProxy(&m)
	case connectionManager:
		var m hcmv3.HttpConnectionManager
		if err := unpack(config, &m); err != nil {
			return err
		}
		return l.decodeHTTP(&m)
	}
	return fault.New(fault.Invalid, "this proxy has no filter %q", kind)
}

const (
	tcpProxy          = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
	connectionManager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)

func (l *Listener) decodeTCPProxy(m *tcpv3.TcpProxy) error {
	if err := only(m, "stat_prefix", "cluster", "idle_timeout", "max_connect_attempts", "access_log"); err != nil {
		return err
	}
	if l.Cluster = m.GetCluster(); l.Cluster == "" {
		return fault.New(fault.Invalid, "tcp_proxy names no cluster")
	}
	if t := m.GetIdleTimeout(); t != nil {
		// 0 turns the timeout off, as the field's definition says.
		if l.IdleTimeout = t.AsDuration(); l.IdleTimeout <= 0 {
			l.IdleTimeout = -1
		}
	}
	return nil
}

// decodeAddress reads where a listener or an endpoint is. Names are not resolved: the control plane does that.
func decodeAddress(m *corev3.Address) (balance.Address, error) {
	if pipe := m.GetPipe(); pipe != nil {
		if pipe.GetPath() == "" {
			return balance.Address{}, fault.New(fault.Invalid, "the path of a unix socket is missing")
		}
		return balance.Address{Network: "unix", Text: pipe.GetPath()}, nil
	}
	s := m.GetSocketAddress()
	if s == nil {
		return balance.Address{}, fault.New(fault.Invalid, "the address is neither a socket address nor a pipe")
	}
	if err := only(s, "protocol", "address", "port_value", "ipv4_compat"); err != nil {
		return balance.Address{}, err
	}
	ip := net.ParseIP(s.GetAddress())
	if ip == nil || s.GetProtocol() != corev3.SocketAddress_TCP || s.GetPortValue() > 65535 {
		return balance.Address{}, fault.New(fault.Invalid, "%s:%d is not a TCP address", s.GetAddress(), s.GetPortValue())
	}
	return balance.Address{Network: "tcp", Text: net.JoinHostPort(ip.String(), strconv.Itoa(int(s.GetPortValue())))}, nil
}
