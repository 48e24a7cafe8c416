package resource

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/rbac"
)

// DecodeSecret reads an SDS resource: a certificate with its key, or a set of roots.
func DecodeSecret(m *tlsv3.Secret) (*Secret, error) {
	s := &Secret{Name: m.GetName()}
	var err error
	switch {
	case m.GetTlsCertificate() != nil:
		s.Leaf, err = decodeLeaf(m.GetTlsCertificate())
	case m.GetValidationContext() != nil:
		if err = only(m.GetValidationContext(), "trusted_ca"); err == nil {
			s.Roots, err = decodeRoots(m.GetValidationContext().GetTrustedCa())
		}
	default:
		err = fault.New(fault.Invalid, "it has neither a tls_certificate nor a validation_context")
	}
	if err != nil {
		return nil, in(err, "secret %q", s.Name)
	}
	return s, nil
}

func decodeLeaf(m *tlsv3.TlsCertificate) (*identity.Identity, error) {
	if err := only(m, "certificate_chain", "private_key"); err != nil {
		return nil, err
	}
	chain, err := inline(m.GetCertificateChain())
	if err != nil {
		return nil, in(err, "certificate_chain")
	}
	key, err := inline(m.GetPrivateKey())
	if err != nil {
		return nil, in(err, "private_key")
	}
	return identity.ParseIdentity(chain, key)
}

func decodeRoots(m *corev3.DataSource) (*identity.Roots, error) {
	text, err := inline(m)
	if err != nil {
		return nil, in(err, "trusted_ca")
	}
	return identity.ParseRoots(text)
}

// inline returns what a data source carries. A file or a variable of this host is never read for the control plane.
func inline(m *corev3.DataSource) ([]byte, error) {
	switch s := m.GetSpecifier().(type) {
	case *corev3.DataSource_InlineBytes:
		return s.InlineBytes, nil
	case *corev3.DataSource_InlineString:
		return []byte(s.InlineString), nil
	}
	return nil, fault.New(fault.Invalid, "the data must be inline")
}

// callersPolicy names the policy that stands for the peers which a listener's TLS context lists.
const callersPolicy = "match_typed_subject_alt_names"

// decodeServerTLS reads the transport socket of a listener. Nil is no TLS. If the context lists the peers that it
// takes, they are a filter like any other, so that open connections are decided anew when the list changes.
func (l *Listener) decodeServerTLS(m *corev3.TransportSocket) error {
	if m == nil {
		return nil
	}
	var ctx tlsv3.DownstreamTlsContext
	if err := unpack(m.GetTypedConfig(), &ctx); err != nil {
		return err
	}
	if err := only(&ctx, "common_tls_context", "require_client_certificate", "disable_stateless_session_resumption",
		"disable_stateful_session_resumption"); err != nil {
		return err
	}
	if !ctx.GetRequireClientCertificate().GetValue() {
		return fault.New(fault.Invalid, "a TLS listener must require client certificates")
	}
	credentials, names, err := decodeCommonTLS(ctx.GetCommonTlsContext())
	if err != nil {
		return err
	}
	l.TLS = &ServerTLS{Credentials: credentials, ALPN: ctx.GetCommonTlsContext().GetAlpnProtocols()}
	callers := rbac.Policy{Name: callersPolicy}
	for _, n := range names {
		p, err := decodeMatcher(n)
		if err != nil {
			return in(err, "match_typed_subject_alt_names")
		}
		callers.Principals = append(callers.Principals, p)
	}
	if len(callers.Principals) > 0 {
		l.Authorization = append(l.Authorization, rbac.Rules{Action: rbac.Allow, Policies: []rbac.Policy{callers}})
	}
	return nil
}

// decodeClientTLS reads the transport socket of a cluster. Nil is no TLS.
func decodeClientTLS(m *corev3.TransportSocket) (*ClientTLS, error) {
	if m == nil {
		return nil, nil
	}
	var ctx tlsv3.UpstreamTlsContext
	if err := unpack(m.GetTypedConfig(), &ctx); err != nil {
		return nil, err
	}
	if err := only(&ctx, "common_tls_context", "sni", "max_session_keys"); err != nil {
		return nil, err
	}
	credentials, names, err := decodeCommonTLS(ctx.GetCommonTlsContext())
	if err != nil {
		return nil, err
	}
	t := &ClientTLS{Credentials: credentials, ServerName: ctx.GetSni(), ALPN: ctx.GetCommonTlsContext().GetAlpnProtocols()}
	for _, n := range names {
		exact, ok := n.GetMatchPattern().(*matcherv3.StringMatcher_Exact)
		if !ok || n.GetIgnoreCase() {
			return nil, fault.New(fault.Invalid, "the peers of a cluster are named by exact SPIFFE ids, not by patterns")
		}
		id, err := identity.ParseID(exact.Exact)
		if err != nil {
			return nil, err
		}
		t.Expected = append(t.Expected, id)
	}
	if len(t.Expected) == 0 {
		return nil, fault.New(fault.Invalid, "a TLS cluster must name the SPIFFE ids of its peers (match_typed_subject_alt_names)")
	}
	return t, nil
}

func decodeCommonTLS(m *tlsv3.CommonTlsContext) (c Credentials, names []*matcherv3.StringMatcher, err error) {
	err = only(m, "tls_params", "tls_certificates", "tls_certificate_sds_secret_configs", "alpn_protocols",
		"validation_context", "validation_context_sds_secret_config", "combined_validation_context")
	if err != nil {
		return c, nil, err
	}
	// Ciphers, curves and a lower minimum are of no consequence: both ends of a mesh link speak TLS 1.3 only.
	if v := m.GetTlsParams().GetTlsMaximumProtocolVersion(); v != tlsv3.TlsParameters_TLS_AUTO && v != tlsv3.TlsParameters_TLSv1_3 {
		return c, nil, fault.New(fault.Invalid, "the maximum version %s is below TLS 1.3", v)
	}
	switch inlined, named := m.GetTlsCertificates(), m.GetTlsCertificateSdsSecretConfigs(); {
	case len(inlined) == 1 && len(named) == 0:
		if c.InlineLeaf, err = decodeLeaf(inlined[0]); err != nil {
			return c, nil, in(err, "tls_certificates")
		}
	case len(named) == 1 && len(inlined) == 0 && named[0].GetName() != "":
		c.LeafName = named[0].GetName()
	default:
		return c, nil, fault.New(fault.Invalid, "a TLS context must have exactly one certificate, inline or as a secret")
	}
	validation := m.GetValidationContext()
	rootsName := m.GetValidationContextSdsSecretConfig().GetName()
	if combined := m.GetCombinedValidationContext(); combined != nil {
		if err := only(combined, "default_validation_context", "validation_context_sds_secret_config"); err != nil {
			return c, nil, err
		}
		validation = combined.GetDefaultValidationContext()
		rootsName = combined.GetValidationContextSdsSecretConfig().GetName()
	}
	if err := only(validation, "trusted_ca", "match_typed_subject_alt_names"); err != nil {
		return c, nil, err
	}
	if c.RootsName = rootsName; rootsName == "" {
		if c.InlineRoot, err = decodeRoots(validation.GetTrustedCa()); err != nil {
			return c, nil, err
		}
	}
	for _, n := range validation.GetMatchTypedSubjectAltNames() {
		if n.GetSanType() != tlsv3.SubjectAltNameMatcher_URI {
			return c, nil, fault.New(fault.Invalid, "peers are named by URI, not by %s", n.GetSanType())
		}
		names = append(names, n.GetMatcher())
	}
	return c, slices.Clip(names), nil
}
