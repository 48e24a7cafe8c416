package xds

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// protocol is what a service speaks; anything unknown is tcp.
type protocol string

const (
	protoTCP   protocol = "tcp"
	protoHTTP  protocol = "http"
	protoHTTP2 protocol = "http2"
	protoGRPC  protocol = "grpc"
)

func parseProtocol(s string) protocol {
	switch p := protocol(strings.ToLower(s)); p {
	case protoHTTP, protoHTTP2, protoGRPC:
		return p
	default:
		return protoTCP
	}
}

func (p protocol) isHTTP() bool  { return p != protoTCP }
func (p protocol) isHTTP2() bool { return p == protoHTTP2 || p == protoGRPC }

// defaultConnectTimeout bounds dialing where nothing else is said.
const defaultConnectTimeout = 5 * time.Second

// proxyOptions are the opaque options of a proxy. Durations are nil where Envoy's default is to apply.
type proxyOptions struct {
	protocol         protocol
	bindAddress      string
	bindPort         int
	connectTimeout   time.Duration
	requestTimeout   *time.Duration
	idleTimeout      *time.Duration
	fetchTimeout     *time.Duration
	handshakeTimeout *time.Duration
	maxInbound       uint32
	exactBalance     bool
	publicListener   string
	localCluster     string
	tracing          string
}

// upstreamOptions are the opaque options of an upstream.
type upstreamOptions struct {
	protocol       protocol
	connectTimeout time.Duration
	limits         *limits
	passive        passiveCheck
	exactBalance   bool
	listener       string
	cluster        string
}

// limits are circuit breakers; nil fields keep Envoy's default.
type limits struct{ connections, pending, requests *uint32 }

// passiveCheck is outlier detection; nil fields keep Envoy's default.
type passiveCheck struct {
	interval, baseEjection                  *time.Duration
	maxFailures, enforcing, ejectionPercent *uint32
}

func readProxyOptions(s *Snapshot, problems *[]error) proxyOptions {
	svc := s.Proxy
	o := bag{at: fmt.Sprintf("proxy %q", svc.ID), values: normalize(svc.Proxy.Config), problems: problems}
	out := proxyOptions{
		protocol:         parseProtocol(o.text("protocol")),
		bindAddress:      o.address("bind_address", svc.Address),
		bindPort:         int(o.number("bind_port", uint32(svc.Port), 65535)),
		connectTimeout:   defaultConnectTimeout,
		requestTimeout:   o.milliseconds("local_request_timeout_ms"),
		idleTimeout:      o.milliseconds("local_idle_timeout_ms"),
		fetchTimeout:     o.milliseconds("xds_fetch_timeout_ms"),
		handshakeTimeout: o.milliseconds("handshake_timeout_ms"),
		maxInbound:       o.number("max_inbound_connections", 0, math.MaxUint32),
		exactBalance:     o.exactBalance("balance_inbound_connections"),
		publicListener:   o.text("envoy_public_listener_json"),
		localCluster:     o.text("envoy_local_cluster_json"),
		tracing:          o.text("envoy_listener_tracing_json"),
	}
	if d := o.milliseconds("local_connect_timeout_ms"); d != nil {
		out.connectTimeout = *d
	}
	if out.bindAddress == "" {
		out.bindAddress = "0.0.0.0"
	}
	return out
}

func readUpstreamOptions(u *Upstream, problems *[]error) upstreamOptions {
	config := u.Config
	if config == nil {
		config = u.As.Config
	}
	o := bag{at: fmt.Sprintf("upstream %q", upstreamID(u.As)), values: normalize(config), problems: problems}
	out := upstreamOptions{
		protocol:       parseProtocol(u.Protocol),
		connectTimeout: u.ConnectTimeout,
		exactBalance:   o.exactBalance("balance_outbound_connections"),
		listener:       o.text("envoy_listener_json"),
		cluster:        o.text("envoy_cluster_json"),
	}
	if u.Protocol == "" {
		out.protocol = parseProtocol(o.text("protocol"))
	}
	if out.connectTimeout == 0 {
		out.connectTimeout = defaultConnectTimeout
		if d := o.milliseconds("connect_timeout_ms"); d != nil {
			out.connectTimeout = *d
		}
	}
	if l, ok := o.nested("limits"); ok {
		out.limits = &limits{l.optional("max_connections"), l.optional("max_pending_requests"), l.optional("max_concurrent_requests")}
	}
	if p, ok := o.nested("passive_health_check"); ok {
		out.passive = passiveCheck{
			interval: p.duration("interval"), baseEjection: p.duration("base_ejection_time"),
			maxFailures: p.optional("max_failures"), enforcing: p.optional("enforcing_consecutive_5xx"),
			ejectionPercent: p.optional("max_ejection_percent"),
		}
	}
	return out
}

// bag reads weakly typed options. What cannot be read is a problem and counts as not set.
type bag struct {
	at       string
	values   map[string]any
	problems *[]error
}

// normalize makes MaxConnections and max_connections one key.
func normalize(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[foldKey(k)] = v
	}
	return out
}

func foldKey(k string) string { return strings.ReplaceAll(strings.ToLower(k), "_", "") }

func (o bag) problem(key, format string, args ...any) {
	*o.problems = append(*o.problems, fault.New(fault.Invalid, "%s: option %q %s, and is ignored", o.at, key, fmt.Sprintf(format, args...)))
}

func (o bag) get(key string) (any, bool) {
	v, ok := o.values[foldKey(key)]
	return v, ok && v != nil
}

func (o bag) text(key string) string {
	v, ok := o.get(key)
	if !ok {
		return ""
	}
	if s, ok := v.(string); ok {
		return s
	}
	o.problem(key, "is %v, want a text", v)
	return ""
}

func (o bag) address(key, otherwise string) string {
	v := o.text(key)
	if v == "" {
		return otherwise
	}
	if _, err := netip.ParseAddr(v); err != nil {
		o.problem(key, "is %q, want an IP address", v)
		return otherwise
	}
	return v
}

func (o bag) exactBalance(key string) bool {
	v := o.text(key)
	if v != "" && v != "exact_balance" {
		o.problem(key, "is %q, want \"exact_balance\"", v)
	}
	return v == "exact_balance"
}

// integer reads a whole number, however it was written.
func (o bag) integer(key string) (int64, bool) {
	v, ok := o.get(key)
	if !ok {
		return 0, false
	}
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(min(n, math.MaxInt64)), true
	case float64:
		if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int64(n), true
		}
	case string:
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return i, true
		}
	}
	o.problem(key, "is %v, want a whole number", v)
	return 0, false
}

func (o bag) optional(key string) *uint32 {
	n, ok := o.integer(key)
	if !ok {
		return nil
	}
	if n < 0 || n > math.MaxUint32 {
		o.problem(key, "is %d, want 0 to %d", n, uint32(math.MaxUint32))
		return nil
	}
	u := uint32(n)
	return &u
}

func (o bag) number(key string, otherwise, most uint32) uint32 {
	n := o.optional(key)
	if n == nil {
		return otherwise
	}
	if *n > most {
		o.problem(key, "is %d, want at most %d", *n, most)
		return otherwise
	}
	return *n
}

// maxTimeout is beyond every sensible timeout, and within what a duration in milliseconds can hold.
const maxTimeout = 10 * 365 * 24 * time.Hour

func (o bag) milliseconds(key string) *time.Duration {
	n, ok := o.integer(key)
	if !ok {
		return nil
	}
	if n < 0 || n > maxTimeout.Milliseconds() {
		o.problem(key, "is %d, want 0 to %d milliseconds", n, maxTimeout.Milliseconds())
		return nil
	}
	d := time.Duration(n) * time.Millisecond
	return &d
}

// duration reads "7s", or a number of nanoseconds.
func (o bag) duration(key string) *time.Duration {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	if s, isText := v.(string); isText {
		if d, err := time.ParseDuration(s); err == nil && d >= 0 {
			return &d
		}
	}
	if n, ok := o.integer(key); ok && n >= 0 {
		d := time.Duration(n)
		return &d
	}
	o.problem(key, "is %v, want a duration such as \"10s\"", v)
	return nil
}

func (o bag) nested(key string) (bag, bool) {
	v, ok := o.get(key)
	if !ok {
		return bag{}, false
	}
	m, ok := v.(map[string]any)
	if !ok {
		o.problem(key, "is %v, want a map", v)
		return bag{}, false
	}
	return bag{at: o.at + " " + key, values: normalize(m), problems: o.problems}, true
}

// modeOf reads the mode of a socket, "0600".
func modeOf(u *model.Upstream, problems *[]error) uint32 {
	if u.LocalBindSocketMode == "" {
		return 0
	}
	mode, err := strconv.ParseUint(u.LocalBindSocketMode, 8, 32)
	if err != nil || mode > 0o777 {
		*problems = append(*problems, fault.New(fault.Invalid, "upstream %q: LocalBindSocketMode %q is no octal file mode, and is ignored",
			upstreamID(u), u.LocalBindSocketMode))
		return 0
	}
	return uint32(mode)
}
