package xds

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lictor-mesh/lictor/model"
)

// SecretRoots names the secret with the certificates of all trusted roots.
const SecretRoots = "roots"

// LeafSecret names the secret with a service's certificate chain and key: "leaf:web".
func LeafSecret(service model.ServiceName) string { return "leaf:" + string(service) }

func rootsSecret(roots *model.CARoots) (*Resource, error) {
	var pem strings.Builder
	for _, r := range roots.Roots {
		pem.WriteString(r.RootCert)
	}
	return newResource(SecretRoots, &tlsv3.Secret{Name: SecretRoots, Type: &tlsv3.Secret_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(pem.String())},
	}})
}

func leafSecret(service model.ServiceName, leaf *model.LeafCert) (*Resource, error) {
	name := LeafSecret(service)
	return newResource(name, &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{
		TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inline(leaf.CertPEM), PrivateKey: inline(leaf.PrivateKeyPEM.Reveal())},
	}})
}

func inline(text string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
}

// overADS is a resource to be fetched over the stream that the referring one came by.
func overADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

func secretRef(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: overADS()}
}

// meshTLS is what both ends of a mesh connection have: the service's own certificate.
func meshTLS(service model.ServiceName) *tlsv3.CommonTlsContext {
	return &tlsv3.CommonTlsContext{
		TlsParams:                      &tlsv3.TlsParameters{},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{secretRef(LeafSecret(service))},
	}
}

// downstreamTLS asks the caller for a certificate that one of the roots vouches for. Who may call is
// decided by RBAC.
func downstreamTLS(p *packer, service model.ServiceName, proto protocol) *corev3.TransportSocket {
	common := meshTLS(service)
	common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
		ValidationContextSdsSecretConfig: secretRef(SecretRoots),
	}
	switch {
	case proto.isHTTP2():
		common.AlpnProtocols = []string{"h2", "http/1.1"}
	case proto.isHTTP():
		common.AlpnProtocols = []string{"http/1.1"}
	}
	return tlsSocket(p.pack(&tlsv3.DownstreamTlsContext{
		CommonTlsContext: common, RequireClientCertificate: wrapperspb.Bool(true),
	}))
}

// upstreamTLS demands that the dialed instance shows the target's identity.
func upstreamTLS(p *packer, service model.ServiceName, target Target) *corev3.TransportSocket {
	common := meshTLS(service)
	common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext: &tlsv3.CertificateValidationContext{
				MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
					SanType: tlsv3.SubjectAltNameMatcher_URI,
					Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: target.SPIFFE().String()}},
				}},
			},
			ValidationContextSdsSecretConfig: secretRef(SecretRoots),
		},
	}
	// Envoy as a client stops at TLS 1.2 unless it is told otherwise, and native proxies begin at 1.3.
	common.TlsParams = &tlsv3.TlsParameters{TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3}
	return tlsSocket(p.pack(&tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: target.SNI()}))
}

func tlsSocket(context *anypb.Any) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: context}}
}
