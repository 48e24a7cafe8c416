// Package rbac decides which callers a listener admits. It is the connection-level part of Envoy's RBAC
// (envoy.config.rbac.v3): rules of one action over named policies, each a set of principals that are matched
// against the SPIFFE id in the caller's certificate.
//
// It is pure: no clock, no I/O. What it cannot evaluate does not exist here; the decoder refuses it, so that
// nothing is enforced by half.
package rbac

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Action is what Rules do with a caller that one of their policies matches.
type Action uint8

const (
	// Allow admits who matches a policy, and refuses everybody else.
	Allow Action = iota
	// Deny refuses who matches a policy, and admits everybody else.
	Deny
)

// Rules are one RBAC filter. Without policies, Deny admits everybody and Allow nobody.
type Rules struct {
	Action   Action
	Policies []Policy
}

// Policy matches a caller that any of its principals matches. Its name says which intention it stands for, such as
// "web->api:9" (source, destination, precedence); it is what a denial is logged and counted with.
type Policy struct {
	Name       string
	Principals []Principal
}

// Principal is a condition on a caller's SPIFFE id.
type Principal interface {
	// Matches tells whether id meets the condition. An id is never empty: callers without one are refused earlier.
	Matches(id string) bool
}

type (
	anyone   struct{}
	exact    struct{ text string }
	prefix   struct{ text string }
	suffix   struct{ text string }
	contains struct{ text string }
	pattern  struct{ re *regexp.Regexp }
	allOf    struct{ parts []Principal }
	anyOf    struct{ parts []Principal }
	not      struct{ part Principal }
	folded   struct{ part Principal }
)

func (anyone) Matches(string) bool       { return true }
func (p exact) Matches(id string) bool   { return id == p.text }
func (p prefix) Matches(id string) bool  { return strings.HasPrefix(id, p.text) }
func (p suffix) Matches(id string) bool  { return strings.HasSuffix(id, p.text) }
func (p pattern) Matches(id string) bool { return p.re.MatchString(id) }
func (p contains) Matches(id string) bool {
	return strings.Contains(id, p.text)
}
func (p not) Matches(id string) bool    { return !p.part.Matches(id) }
func (p folded) Matches(id string) bool { return p.part.Matches(strings.ToLower(id)) }
func (p allOf) Matches(id string) bool {
	for _, part := range p.parts {
		if !part.Matches(id) {
			return false
		}
	}
	return true
}
func (p anyOf) Matches(id string) bool {
	for _, part := range p.parts {
		if part.Matches(id) {
			return true
		}
	}
	return false
}

// Anyone matches every caller.
func Anyone() Principal { return anyone{} }

// Exact matches the caller whose id is text.
func Exact(text string) Principal { return exact{text} }

// Prefix matches callers whose id begins with text.
func Prefix(text string) Principal { return prefix{text} }

// Suffix matches callers whose id ends with text.
func Suffix(text string) Principal { return suffix{text} }

// Contains matches callers whose id has text in it.
func Contains(text string) Principal { return contains{text} }

// Fold makes a text condition blind to ASCII and Unicode case: part must have been built from lower-case text.
func Fold(part Principal) Principal { return folded{part} }

// Pattern matches callers whose whole id matches the RE2 expression, as Envoy's safe_regex does.
func Pattern(expression string) (Principal, error) {
	// Longest-match semantics are irrelevant to a full match; the group keeps "a|b" from escaping the anchors.
	re, err := regexp.Compile(`^(?:` + expression + `)$`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %v", expression, err)
	}
	return pattern{re}, nil
}

// All matches who matches every part. Parts must not be empty.
func All(parts ...Principal) Principal { return allOf{parts} }

// Any matches who matches at least one part.
func Any(parts ...Principal) Principal { return anyOf{parts} }

// Not matches who does not match part.
func Not(part Principal) Principal { return not{part} }

// Decision is the answer for one caller. Policy is the name of the policy that decided; it is empty where none
// matched and the action's default decided.
type Decision struct {
	Allowed bool
	Policy  string
}

// decide evaluates one filter. Policies are tried in the order of their names, as Envoy does, so that the deciding
// one is the same every time.
func (r *Rules) decide(id string) Decision {
	for i := range r.Policies {
		if (anyOf{r.Policies[i].Principals}).Matches(id) {
			return Decision{Allowed: r.Action == Allow, Policy: r.Policies[i].Name}
		}
	}
	return Decision{Allowed: r.Action != Allow}
}

// cachedDecisions bounds the cache of an Authorizer. A caller's id was vouched for by the mesh's CA before it gets
// here, so the bound guards against very large meshes, not against strangers.
const cachedDecisions = 4096

// Authorizer decides for a chain of filters: a caller must pass each of them. It is immutable but for a bounded
// cache, and safe for concurrent use.
type Authorizer struct {
	chain []Rules
	mu    sync.RWMutex
	known map[string]Decision
}

// NewAuthorizer compiles a chain. An empty chain admits everybody. The rules must not be changed afterwards.
func NewAuthorizer(chain []Rules) *Authorizer {
	a := &Authorizer{known: make(map[string]Decision)}
	for _, rules := range chain {
		rules.Policies = slices.Clone(rules.Policies)
		slices.SortStableFunc(rules.Policies, func(x, y Policy) int { return strings.Compare(x.Name, y.Name) })
		a.chain = append(a.chain, rules)
	}
	return a
}

// Decide answers for the caller with this SPIFFE id. The first filter that refuses decides; if all admit, the
// policy named is the last one that matched.
func (a *Authorizer) Decide(id string) Decision {
	a.mu.RLock()
	d, ok := a.known[id]
	a.mu.RUnlock()
	if ok {
		return d
	}
	d = a.evaluate(id)
	a.mu.Lock()
	if len(a.known) >= cachedDecisions {
		clear(a.known)
	}
	a.known[id] = d
	a.mu.Unlock()
	return d
}

func (a *Authorizer) evaluate(id string) Decision {
	if id == "" {
		return Decision{}
	}
	result := Decision{Allowed: true}
	for i := range a.chain {
		d := a.chain[i].decide(id)
		if !d.Allowed {
			return d
		}
		if d.Policy != "" {
			result.Policy = d.Policy
		}
	}
	return result
}
