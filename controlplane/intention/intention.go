// Package intention decides who may connect to whom: the precedence of intentions, their order of
// evaluation, which of them bear on a service, and the decision with its reason.
//
// It is pure: no clock, no I/O, no state. Names of destinations are compared folded, as the catalog does,
// so that an intention cannot be missed by another spelling of the service that it protects. Names of
// sources are compared as they are: a source is what a certificate says, and the certificate's text is
// also all that a proxy can compare.
//
// The rules are those of https://developer.hashicorp.com/consul/docs/secure-mesh/intention: the first
// intention in evaluation order that matches decides; without one the default does. Where a rule on
// requests (permissions, JWT) meets a decision on a connection it counts as a denial: nothing fails open.
package intention

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/model"
)

// Precedence of an intention by its names: 9 exact to exact, 8 any to exact, 6 exact to any, 5 any to any.
func Precedence(source, destination model.ServiceName) int {
	p := 9
	if destination == model.Wildcard {
		p = 6
	}
	if source == model.Wildcard {
		p--
	}
	return p
}

// Compare orders intentions as they are evaluated: by falling precedence, then by peer, source and
// destination, which makes the order total for intentions of different identity. It reads the names, not
// the stored Precedence, which a writer may have left out.
func Compare(a, b *model.Intention) int {
	return cmp.Or(
		cmp.Compare(Precedence(b.SourceName, b.DestinationName), Precedence(a.SourceName, a.DestinationName)),
		cmp.Compare(a.SourcePeer, b.SourcePeer),
		cmp.Compare(a.SourceName, b.SourceName),
		cmp.Compare(a.DestinationName, b.DestinationName),
	)
}

// Sort puts intentions into evaluation order, in place.
func Sort(list []*model.Intention) { slices.SortFunc(list, Compare) }

// MatchDestination returns those of all that bear on connections to the named service, in evaluation
// order: with that destination or the wildcard. For the wildcard itself only those to the wildcard.
func MatchDestination(all []*model.Intention, name model.ServiceName) []*model.Intention {
	return match(all, func(i *model.Intention) bool {
		return i.DestinationName == model.Wildcard || model.Fold(i.DestinationName) == model.Fold(name)
	})
}

// MatchSource returns those of all that bear on connections from the named service of this cluster or of
// a peer, in evaluation order: with that source or the wildcard. For the wildcard itself only those from
// the wildcard.
func MatchSource(all []*model.Intention, name model.ServiceName) []*model.Intention {
	return match(all, func(i *model.Intention) bool {
		return i.SourceName == model.Wildcard || i.SourceName == name
	})
}

func match(all []*model.Intention, bears func(*model.Intention) bool) []*model.Intention {
	var out []*model.Intention
	for _, i := range all {
		if bears(i) {
			out = append(out, i)
		}
	}
	Sort(out)
	return out
}

// Decision is the answer to "may this source connect?".
type Decision struct {
	Allowed bool
	// By is the intention that decided, nil when the default did.
	By *model.Intention
}

// DefaultReason is the reason of a decision that no intention made.
const DefaultReason = "Default behavior configured by ACLs"

// Reason tells in one line what decided, in the words of the authorize API.
func (d Decision) Reason() string {
	if d.By == nil {
		return DefaultReason
	}
	i := d.By
	names := fmt.Sprintf("default/%s => default/%s", i.SourceName, i.DestinationName)
	precedence := Precedence(i.SourceName, i.DestinationName)
	if len(i.Permissions) > 0 {
		return fmt.Sprintf("Matched L7 intention: %s (Precedence: %d, Permissions: %d)", names, precedence, len(i.Permissions))
	}
	return fmt.Sprintf("Matched L4 intention: %s (Precedence: %d, Action: %s)", names, precedence, strings.ToUpper(string(i.Action)))
}

// AllowsConnection tells whether an intention, once it matched, lets a connection through. Only a plain
// allow does: rules on requests cannot be kept by a decision on a connection, and an action that is not
// known is no permission.
func AllowsConnection(i *model.Intention) bool {
	return i.Action == model.ActionAllow && len(i.Permissions) == 0 && i.JWT == nil
}

// Decide answers for a service of this cluster as source. The intentions are those that bear on the
// destination (MatchDestination), in any order. Intentions about the services of peers never match.
func Decide(forDestination []*model.Intention, source model.ServiceName, defaultAllow bool) Decision {
	var first *model.Intention
	for _, i := range forDestination {
		if i.SourcePeer != "" || (i.SourceName != source && i.SourceName != model.Wildcard) {
			continue
		}
		if first == nil || Compare(i, first) < 0 {
			first = i
		}
	}
	if first == nil {
		return Decision{Allowed: defaultAllow}
	}
	return Decision{Allowed: AllowsConnection(first), By: first}
}

// RuleName names an intention in one word for logs, counters and data-plane policies:
// "intention:<precedence>:<source>=><destination>".
func RuleName(i *model.Intention) string {
	return fmt.Sprintf("intention:%d:%s=>%s", Precedence(i.SourceName, i.DestinationName), i.SourceName, i.DestinationName)
}

// Rule is what one source is decided by at one destination.
type Rule struct {
	// Source is a name, or the wildcard for every service that no other rule names.
	Source model.ServiceName
	By     *model.Intention
	Allow  bool
}

// Rules reduces the intentions that bear on a destination (in any order) to one rule for each source that
// is decided by an intention of its own, sorted by source name, and last the rule of the wildcard if there
// is one. Together with the default they say the same as Decide for every source. Intentions that others
// shadow are left out, and so are those about peers.
func Rules(forDestination []*model.Intention) []Rule {
	list := slices.Clone(forDestination)
	Sort(list)
	seen := make(map[model.ServiceName]bool, len(list))
	var exact, any []Rule
	for _, i := range list {
		if i.SourcePeer != "" || seen[i.SourceName] || seen[model.Wildcard] {
			continue
		}
		seen[i.SourceName] = true
		rule := Rule{Source: i.SourceName, By: i, Allow: AllowsConnection(i)}
		if i.SourceName == model.Wildcard {
			any = append(any, rule)
		} else {
			exact = append(exact, rule)
		}
	}
	slices.SortFunc(exact, func(a, b Rule) int { return cmp.Compare(a.Source, b.Source) })
	return append(exact, any...)
}
