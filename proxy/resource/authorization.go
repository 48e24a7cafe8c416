package resource

import (
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/rbac"
)

// maxDepth bounds the nesting of principals.
const maxDepth = 32

// decodeRules appends the rules of an RBAC filter to chain. No rules at all is a filter that enforces nothing.
func decodeRules(chain []rbac.Rules, m *rbacv3.RBAC) ([]rbac.Rules, error) {
	if m == nil {
		return chain, nil
	}
	if err := only(m, "action", "policies"); err != nil {
		return nil, err
	}
	var rules rbac.Rules
	switch m.GetAction() {
	case rbacv3.RBAC_ALLOW:
		rules.Action = rbac.Allow
	case rbacv3.RBAC_DENY:
		rules.Action = rbac.Deny
	default:
		return nil, fault.New(fault.Invalid, "RBAC: the action %s is not supported", m.GetAction())
	}
	for name, p := range m.GetPolicies() {
		policy, err := decodePolicy(name, p)
		if err != nil {
			return nil, in(err, "RBAC policy %q", name)
		}
		rules.Policies = append(rules.Policies, policy)
	}
	return append(chain, rules), nil
}

func decodePolicy(name string, m *rbacv3.Policy) (rbac.Policy, error) {
	policy := rbac.Policy{Name: name}
	if err := only(m, "permissions", "principals"); err != nil {
		return policy, err
	}
	if len(m.GetPermissions()) == 0 || len(m.GetPrincipals()) == 0 {
		return policy, fault.New(fault.Invalid, "permissions or principals are missing")
	}
	for _, permission := range m.GetPermissions() {
		// Anything narrower looks into requests: enforcing the policy without it would allow or deny too much.
		if !permission.GetAny() {
			return policy, fault.New(fault.Invalid, "this proxy decides per connection, and has no permission but any")
		}
	}
	for _, p := range m.GetPrincipals() {
		principal, err := decodePrincipal(p, 0)
		if err != nil {
			return policy, err
		}
		policy.Principals = append(policy.Principals, principal)
	}
	return policy, nil
}

func decodePrincipal(m *rbacv3.Principal, depth int) (rbac.Principal, error) {
	if depth > maxDepth {
		return nil, fault.New(fault.Invalid, "principals are nested more than %d deep", maxDepth)
	}
	switch p := m.GetIdentifier().(type) {
	case *rbacv3.Principal_Any:
		if !p.Any {
			return nil, fault.New(fault.Invalid, "the principal any is false")
		}
		return rbac.Anyone(), nil
	case *rbacv3.Principal_Authenticated_:
		if err := only(p.Authenticated, "principal_name"); err != nil {
			return nil, err
		}
		if p.Authenticated.GetPrincipalName() == nil {
			return rbac.Anyone(), nil
		}
		return decodeMatcher(p.Authenticated.GetPrincipalName())
	case *rbacv3.Principal_AndIds:
		parts, err := decodePrincipals(p.AndIds.GetIds(), depth)
		if err != nil {
			return nil, err
		}
		return rbac.All(parts...), nil
	case *rbacv3.Principal_OrIds:
		parts, err := decodePrincipals(p.OrIds.GetIds(), depth)
		if err != nil {
			return nil, err
		}
		return rbac.Any(parts...), nil
	case *rbacv3.Principal_NotId:
		part, err := decodePrincipal(p.NotId, depth+1)
		if err != nil {
			return nil, err
		}
		return rbac.Not(part), nil
	case nil:
		return nil, fault.New(fault.Invalid, "a principal is empty")
	default:
		return nil, only(m)
	}
}

func decodePrincipals(ids []*rbacv3.Principal, depth int) ([]rbac.Principal, error) {
	if len(ids) == 0 {
		return nil, fault.New(fault.Invalid, "a list of principals is empty")
	}
	parts := make([]rbac.Principal, 0, len(ids))
	for _, id := range ids {
		part, err := decodePrincipal(id, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// decodeMatcher reads a string matcher as a condition on SPIFFE ids.
func decodeMatcher(m *matcherv3.StringMatcher) (rbac.Principal, error) {
	fold := m.GetIgnoreCase()
	text := func(s string) string {
		if fold {
			return strings.ToLower(s)
		}
		return s
	}
	var p rbac.Principal
	switch kind := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		p = rbac.Exact(text(kind.Exact))
	case *matcherv3.StringMatcher_Prefix:
		p = rbac.Prefix(text(kind.Prefix))
	case *matcherv3.StringMatcher_Suffix:
		p = rbac.Suffix(text(kind.Suffix))
	case *matcherv3.StringMatcher_Contains:
		p = rbac.Contains(text(kind.Contains))
	case *matcherv3.StringMatcher_SafeRegex:
		// ignore_case has no effect on regular expressions, as its definition says.
		re, err := rbac.Pattern(kind.SafeRegex.GetRegex())
		if err != nil {
			return nil, fault.New(fault.Invalid, "%w", err)
		}
		return re, nil
	default:
		return nil, fault.New(fault.Invalid, "a string matcher is empty or of a kind that is not supported")
	}
	if fold {
		return rbac.Fold(p), nil
	}
	return p, nil
}
