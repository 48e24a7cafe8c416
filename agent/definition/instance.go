package definition

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// faultList gathers all that is wrong with one instance, and is shown as a list.
type faultList []string

func (l *faultList) addf(format string, args ...any) { *l = append(*l, fmt.Sprintf(format, args...)) }

// text is the form in which clients know such lists.
func (l faultList) text() string {
	var b strings.Builder
	if len(l) == 1 {
		b.WriteString("1 error occurred:")
	} else {
		fmt.Fprintf(&b, "%d errors occurred:", len(l))
	}
	for _, line := range l {
		b.WriteString("\n\t* " + line)
	}
	b.WriteString("\n\n")
	return b.String()
}

// err is nil for an empty list, else a fault.BadRequest that begins with prefix.
func (l faultList) err(prefix string) error {
	if len(l) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.BadRequest, Text: prefix + l.text()}
}

// ValidateInstance tells what is wrong with a service instance by its kind: what proxies and gateways need and must not
// have. The catalog uses it for what is registered past the agents. Errors are of kind fault.Invalid.
func ValidateInstance(s *model.Service) error {
	faults := instanceFaults(s)
	if len(faults) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Text: faults.text()}
}

func instanceFaults(s *model.Service) faultList {
	var faults faultList
	switch s.Kind {
	case model.KindConnectProxy:
		proxyFaults(&faults, s)
	case model.KindMeshGateway, model.KindTerminatingGateway, model.KindIngressGateway, model.KindAPIGateway:
		gatewayFaults(&faults, s)
	}
	return faults
}

func proxyFaults(faults *faultList, s *model.Service) {
	var proxy model.Proxy
	if s.Proxy != nil {
		proxy = *s.Proxy
	}
	switch proxy.DestinationServiceName {
	case "":
		faults.addf("Proxy.DestinationServiceName must be non-empty for Connect proxy services")
	case model.Wildcard:
		faults.addf("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services")
	}
	if s.Port == 0 && s.SocketPath == "" {
		faults.addf("Port or SocketPath must be set for a %s", s.Kind)
	}
	if s.Connect.Native {
		faults.addf("A Proxy cannot also be Connect Native, only typical services")
	}
	upstreamFaults(faults, &proxy)
	exposeFaults(faults, proxy.Expose)
}

func upstreamFaults(faults *faultList, proxy *model.Proxy) {
	binds := map[string]bool{}
	for i := range proxy.Upstreams {
		u := &proxy.Upstreams[i]
		switch u.DestinationType {
		case "", model.UpstreamService, model.UpstreamPreparedQuery:
		default:
			faults.addf("unknown upstream destination type: %q", u.DestinationType)
			continue
		}
		if u.DestinationName == "" {
			faults.addf("upstream destination name cannot be empty")
			continue
		}
		if u.DestinationPeer != "" && u.Datacenter != "" {
			faults.addf("upstream cannot specify both destination peer and datacenter")
			continue
		}
		// A transparent proxy reaches its upstreams by address; they need no listener of their own.
		bind := upstreamBind(u)
		if bind == "" {
			if proxy.Mode != "transparent" {
				faults.addf("upstream local bind port or local socket path must be defined and nonzero")
			}
			continue
		}
		if binds[bind] {
			faults.addf("upstreams cannot contain duplicates by local bind address and port or unix path; %q is specified twice", bind)
		}
		binds[bind] = true
	}
}

// upstreamBind is where an upstream listens, "" when it says nothing.
func upstreamBind(u *model.Upstream) string {
	switch {
	case u.LocalBindPort != 0:
		host := u.LocalBindAddress
		if host == "" {
			host = "127.0.0.1"
		}
		return hostPort(host, u.LocalBindPort)
	default:
		return u.LocalBindSocketPath
	}
}

func exposeFaults(faults *faultList, expose model.Expose) {
	listeners := map[int]bool{}
	for _, p := range expose.Paths {
		switch {
		case p.Path == "":
			faults.addf("expose: path is empty; name the path to expose")
		case !strings.HasPrefix(p.Path, "/"):
			faults.addf("expose: path %q must begin with /", p.Path)
		case p.Protocol != "" && p.Protocol != "http" && p.Protocol != "http2":
			faults.addf("protocol '%s' not supported for path: %s, must be in: [http2 http]", p.Protocol, p.Path)
		case p.ListenerPort <= 0 || p.ListenerPort > maxPort:
			faults.addf("expose: invalid listener port for path %s: %d", p.Path, p.ListenerPort)
		case listeners[p.ListenerPort]:
			faults.addf("expose: duplicate listener port: %d", p.ListenerPort)
		}
		listeners[p.ListenerPort] = true
	}
}

func gatewayFaults(faults *faultList, s *model.Service) {
	if s.Port == 0 {
		faults.addf("Port must be non-zero for a %s", s.Kind)
	}
	if s.Connect.Native {
		faults.addf("A Proxy cannot also be Connect Native, only typical services")
	}
	if s.Proxy == nil {
		return
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"DestinationServiceName", s.Proxy.DestinationServiceName != ""},
		{"DestinationServiceID", s.Proxy.DestinationServiceID != ""},
		{"LocalServiceAddress", s.Proxy.LocalServiceAddress != ""},
		{"LocalServicePort", s.Proxy.LocalServicePort != 0},
		{"LocalServiceSocketPath", s.Proxy.LocalServiceSocketPath != ""},
		{"Upstreams", len(s.Proxy.Upstreams) > 0},
	} {
		if field.set {
			faults.addf("The Proxy.%s configuration is invalid for a %s", field.name, s.Kind)
		}
	}
}

// hostPort joins an address and a port, with brackets around an IPv6 address.
func hostPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
