package rbac

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sketch is a principal as data, and naive evaluates it by its definition.
type sketch struct {
	kind  string
	text  string
	parts []sketch
}

func (s sketch) naive(id string) bool {
	switch s.kind {
	case "any":
		return true
	case "exact":
		return id == s.text
	case "prefix":
		return len(id) >= len(s.text) && id[:len(s.text)] == s.text
	case "suffix":
		return len(id) >= len(s.text) && id[len(id)-len(s.text):] == s.text
	case "contains":
		for i := range len(id) + 1 {
			if len(id)-i >= len(s.text) && id[i:i+len(s.text)] == s.text {
				return true
			}
		}
		return false
	case "fold":
		return strings.ToLower(id) == s.text
	case "regex":
		loc := regexp.MustCompile(s.text)
		loc.Longest()
		return loc.FindString(id) == id && loc.MatchString(id)
	case "not":
		return !s.parts[0].naive(id)
	case "and":
		n := 0
		for _, p := range s.parts {
			if p.naive(id) {
				n++
			}
		}
		return n == len(s.parts)
	}
	n := 0
	for _, p := range s.parts {
		if p.naive(id) {
			n++
		}
	}
	return n > 0
}

func (s sketch) build(t *rapid.T) Principal {
	var parts []Principal
	for _, p := range s.parts {
		parts = append(parts, p.build(t))
	}
	switch s.kind {
	case "any":
		return Anyone()
	case "exact":
		return Exact(s.text)
	case "prefix":
		return Prefix(s.text)
	case "suffix":
		return Suffix(s.text)
	case "contains":
		return Contains(s.text)
	case "fold":
		return Fold(Exact(s.text))
	case "regex":
		p, err := Pattern(s.text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	case "not":
		return Not(parts[0])
	case "and":
		return All(parts...)
	}
	return Any(parts...)
}

var word = rapid.SampledFrom([]string{"a", "b", "ab", "ba", "A", "aB", "aa", "abab"})

func sketches(depth int) *rapid.Generator[sketch] {
	return rapid.Custom(func(t *rapid.T) sketch {
		kinds := []string{"any", "exact", "prefix", "suffix", "contains", "fold", "regex"}
		if depth > 0 {
			kinds = append(kinds, "not", "and", "or")
		}
		s := sketch{kind: rapid.SampledFrom(kinds).Draw(t, "kind"), text: word.Draw(t, "text")}
		switch s.kind {
		case "fold":
			s.text = strings.ToLower(s.text)
		case "regex":
			s.text = rapid.SampledFrom([]string{"a+", "a|ab", "(a|b)*", "[^a]+", "ab?", "^ab$", "a.*"}).Draw(t, "regex")
		case "not":
			s.parts = []sketch{sketches(depth-1).Draw(t, "part")}
		case "and", "or":
			s.parts = rapid.SliceOfN(sketches(depth-1), 1, 3).Draw(t, "parts")
		}
		return s
	})
}

// TestDecisionsEqualTheirDefinition compares with an interpreter that is as slow and as obvious as possible.
func TestDecisionsEqualTheirDefinition(t *testing.T) {
	type policy struct {
		name       string
		principals []sketch
	}
	rapid.Check(t, func(t *rapid.T) {
		type filter struct {
			action   Action
			policies []policy
		}
		var filters []filter
		var chain []Rules
		for range rapid.IntRange(0, 3).Draw(t, "filters") {
			f := filter{action: Action(rapid.IntRange(0, 1).Draw(t, "action"))}
			r := Rules{Action: f.action}
			for i := range rapid.IntRange(0, 3).Draw(t, "policies") {
				p := policy{fmt.Sprintf("%d-%d", rapid.IntRange(0, 9).Draw(t, "order"), i), rapid.SliceOfN(sketches(2), 1, 2).Draw(t, "principals")}
				built := Policy{Name: p.name}
				for _, s := range p.principals {
					built.Principals = append(built.Principals, s.build(t))
				}
				f.policies, r.Policies = append(f.policies, p), append(r.Policies, built)
			}
			filters, chain = append(filters, f), append(chain, r)
		}
		auth := NewAuthorizer(chain)
		for range 3 {
			id := word.Draw(t, "id")
			want := Decision{Allowed: true}
			for _, f := range filters {
				var matched []string
				for _, p := range f.policies {
					if slices.ContainsFunc(p.principals, func(s sketch) bool { return s.naive(id) }) {
						matched = append(matched, p.name)
					}
				}
				slices.Sort(matched)
				if allowed := (len(matched) > 0) == (f.action == Allow); !allowed {
					want = Decision{Policy: strings.Join(matched[:min(1, len(matched))], "")}
					break
				}
				if len(matched) > 0 {
					want.Policy = matched[0]
				}
			}
			for range 2 { // the second answer comes from the cache
				if got := auth.Decide(id); got != want {
					t.Fatalf("%q: got %+v, want %+v", id, got, want)
				}
			}
		}
	})
}

func TestNobodyIsNeverAllowed(t *testing.T) {
	if NewAuthorizer(nil).Decide("").Allowed || NewAuthorizer([]Rules{{Action: Deny}}).Decide("").Allowed {
		t.Error("a caller without an id was allowed")
	}
}

func TestPatternMatchesTheWholeID(t *testing.T) {
	p, err := Pattern("spiffe://a/svc/web|spiffe://a/svc/api")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"spiffe://a/svc/web": true, "spiffe://a/svc/api": true,
		"spiffe://a/svc/web2": false, "x-spiffe://a/svc/api": false, "spiffe://a/svc/web\n": false} {
		if p.Matches(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
	if _, err := Pattern("("); err == nil {
		t.Error("a broken expression compiles")
	}
}

func TestCacheIsBounded(t *testing.T) {
	a := NewAuthorizer(nil)
	for i := range 3 * cachedDecisions {
		a.Decide(fmt.Sprint(i))
	}
	if len(a.known) > cachedDecisions {
		t.Errorf("%d decisions are kept", len(a.known))
	}
}
