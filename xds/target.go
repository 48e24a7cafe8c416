package xds

import (
	"net/netip"
	"strconv"

	"github.com/lictor-mesh/lictor/model"
)

// Target is a service of some datacenter that proxies dial.
type Target struct {
	Service     model.ServiceName
	Datacenter  string
	TrustDomain model.TrustDomain
	// Customization tells apart clusters of one service whose discovery chain was customized differently;
	// empty for the plain one.
	Customization string
}

// Cluster names the Envoy cluster, and the endpoint resource, of the target.
func (t Target) Cluster() string {
	if t.Customization != "" {
		return t.Customization + "~" + t.SNI()
	}
	return t.SNI()
}

// SNI is the server name that is sent when the target is dialed.
func (t Target) SNI() string {
	return string(t.Service) + ".default." + t.Datacenter + ".internal." + string(t.TrustDomain)
}

// SPIFFE is the identity that the target's instances must show.
func (t Target) SPIFFE() model.SPIFFEID {
	return model.ServiceSPIFFE(t.TrustDomain, t.Datacenter, t.Service)
}

// statName is how statistics and virtual hosts name the target.
func (t Target) statName() string { return string(t.Service) + ".default.default." + t.Datacenter }

// upstreamID names an upstream as registered: "db", or "db?dc=dc2".
func upstreamID(u *model.Upstream) string {
	if u.Datacenter != "" {
		return string(u.DestinationName) + "?dc=" + u.Datacenter
	}
	return string(u.DestinationName)
}

// hostPort joins an address and a port; an IPv6 address gets brackets.
func hostPort(address string, port int) string {
	if ip, err := netip.ParseAddr(address); err == nil && ip.Is6() {
		address = "[" + address + "]"
	}
	return address + ":" + strconv.Itoa(port)
}
