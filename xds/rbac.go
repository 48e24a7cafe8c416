package xds

import (
	"regexp"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/model"
)

// rbacRules says which connections a proxy lets in. Only what differs from the default appears: denials
// under default allow, permissions under default deny. Every policy stands for one intention and bears its
// name; a policy for every source excludes the sources that have a rule of their own, so that at most one
// policy matches and a denial names the intention that decided.
//
// Under default deny, no policy at all denies everyone; under default allow it allows everyone.
func rbacRules(s *Snapshot) *rbacv3.RBAC {
	out := &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW}
	if s.DefaultAllow {
		out.Action = rbacv3.RBAC_DENY
	}
	rules := intention.Rules(s.Intentions)
	for _, rule := range rules {
		if rule.Allow == s.DefaultAllow {
			continue
		}
		principal := sourcePrincipal(s.TrustDomain(), rule.Source)
		if rule.Source == model.Wildcard && len(rules) > 1 {
			principal = exceptPrincipal(s.TrustDomain(), principal, rules[:len(rules)-1])
		}
		if out.Policies == nil {
			out.Policies = make(map[string]*rbacv3.Policy)
		}
		out.Policies[intention.RuleName(rule.By)] = &rbacv3.Policy{
			Permissions: []*rbacv3.Permission{{Rule: &rbacv3.Permission_Any{Any: true}}},
			Principals:  []*rbacv3.Principal{principal},
		}
	}
	return out
}

// sourcePrincipal matches the certificates of a service of the trust domain, in whatever datacenter.
func sourcePrincipal(td model.TrustDomain, source model.ServiceName) *rbacv3.Principal {
	name := "[^/]+"
	if source != model.Wildcard {
		// The name as an identity spells it, quoted: a dot in it must not match any character.
		id := model.ServiceSPIFFE(td, "dc", source).String()
		name = regexp.QuoteMeta(id[strings.LastIndexByte(id, '/')+1:])
	}
	pattern := "^spiffe://" + regexp.QuoteMeta(string(td)) + "/ns/default/dc/[^/]+/svc/" + name + "$"
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{Authenticated: &rbacv3.Principal_Authenticated{
		PrincipalName: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
			SafeRegex: &matcherv3.RegexMatcher{Regex: pattern},
		}},
	}}}
}

func exceptPrincipal(td model.TrustDomain, every *rbacv3.Principal, except []intention.Rule) *rbacv3.Principal {
	ids := []*rbacv3.Principal{every}
	for _, rule := range except {
		ids = append(ids, &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: sourcePrincipal(td, rule.Source)}})
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_AndIds{AndIds: &rbacv3.Principal_Set{Ids: ids}}}
}
