package xds

import (
	"reflect"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Snapshot is all that the resources of one proxy are made of. It and everything that it points to is
// immutable once handed over: a change is a new Snapshot, which shares with the former what did not change.
// Sharing by pointer is what keeps a change cheap, most of all that of Endpoints.
type Snapshot struct {
	// Proxy is the registration of a connect-proxy, with central configuration merged into it.
	Proxy *model.Service
	// Datacenter is where the proxy is registered.
	Datacenter string
	// Roots are the trusted roots and name the trust domain.
	Roots *model.CARoots
	// Leaf is the certificate of the proxy's destination service, with its key.
	Leaf *model.LeafCert
	// DefaultAllow is what applies where no intention does.
	DefaultAllow bool
	// Intentions are those that bear on the proxy's destination service (intention.MatchDestination).
	Intentions []*model.Intention
	// Upstreams are what the proxy offers to its application, in the order of registration.
	Upstreams []Upstream
}

// Upstream is one upstream of a proxy with what is known about its target.
type Upstream struct {
	// As is the upstream as registered.
	As *model.Upstream
	// Protocol of the target: tcp, http, http2, grpc. When empty, Config has it or it is tcp.
	Protocol string
	// ConnectTimeout bounds the dialing of one endpoint; when 0, Config has it or it is 5 s.
	ConnectTimeout time.Duration
	// Config are the merged opaque options; when nil those of the registration.
	Config map[string]any
	// Customization is Target.Customization.
	Customization string
	// Endpoints is the shared handle on the target's endpoints. When nil, nothing is known of the target
	// (for instance because its datacenter is out of reach): a cluster without endpoints is made.
	Endpoints *Endpoints
}

// TrustDomain returns the trust domain of the snapshot's roots.
func (s *Snapshot) TrustDomain() model.TrustDomain { return model.TrustDomain(s.Roots.TrustDomain) }

// Target returns what an upstream of the snapshot dials. Whoever makes the upstream's Endpoints names them
// by it.
func (s *Snapshot) Target(u *Upstream) Target {
	return UpstreamTarget(u.As, s.Datacenter, s.TrustDomain(), u.Customization)
}

// UpstreamTarget returns what an upstream dials that is registered in a datacenter.
func UpstreamTarget(u *model.Upstream, datacenter string, td model.TrustDomain, customization string) Target {
	t := Target{Service: u.DestinationName, Datacenter: u.Datacenter, TrustDomain: td, Customization: customization}
	if t.Datacenter == "" {
		t.Datacenter = datacenter
	}
	return t
}

// complete tells what is missing for resources to be made.
func (s *Snapshot) complete() error {
	switch {
	case s.Proxy == nil || s.Proxy.Kind != model.KindConnectProxy || s.Proxy.Proxy == nil:
		return fault.New(fault.Internal, "xDS snapshot without a connect-proxy registration")
	case s.Roots == nil || s.Roots.TrustDomain == "":
		return fault.New(fault.Internal, "xDS snapshot of %q without roots", s.Proxy.ID)
	case s.Leaf == nil || s.Leaf.CertPEM == "":
		return fault.New(fault.Internal, "xDS snapshot of %q without a leaf certificate", s.Proxy.ID)
	}
	return nil
}

// sameShape tells that s and o give the same clusters, listeners and routes: they may differ in endpoints
// and certificates only.
func (s *Snapshot) sameShape(o *Snapshot) bool {
	return s.Proxy == o.Proxy && s.Datacenter == o.Datacenter && s.Roots.TrustDomain == o.Roots.TrustDomain &&
		s.DefaultAllow == o.DefaultAllow && slices.Equal(s.Intentions, o.Intentions) &&
		slices.EqualFunc(s.Upstreams, o.Upstreams, func(a, b Upstream) bool {
			return a.As == b.As && a.Protocol == b.Protocol && a.ConnectTimeout == b.ConnectTimeout &&
				a.Customization == b.Customization && reflect.DeepEqual(a.Config, b.Config)
		})
}
