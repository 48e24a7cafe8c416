package intention_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/model"
)

var names = []model.ServiceName{"web", "api", "db", model.Wildcard}

func drawIntention(t *rapid.T) *model.Intention {
	i := &model.Intention{
		SourceName:      rapid.SampledFrom(names).Draw(t, "source"),
		DestinationName: rapid.SampledFrom(names).Draw(t, "destination"),
		SourcePeer:      rapid.SampledFrom([]string{"", "", "", "east"}).Draw(t, "peer"),
		Action:          rapid.SampledFrom([]model.Action{model.ActionAllow, model.ActionDeny}).Draw(t, "action"),
	}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		i.Action, i.Permissions = "", []model.IntentionPermission{{Action: model.ActionAllow}}
	case 1:
		i.JWT = &model.IntentionJWT{}
	}
	return i
}

// drawIntentions draws intentions of distinct identity, as the state holds them.
func drawIntentions(t *rapid.T) []*model.Intention {
	return rapid.SliceOfNDistinct(rapid.Custom(drawIntention), 0, 12, func(i *model.Intention) [3]string {
		return [3]string{string(i.SourceName), i.SourcePeer, string(i.DestinationName)}
	}).Draw(t, "intentions")
}

// naive reads the documentation aloud: try the four shapes from the most to the least specific.
func naive(all []*model.Intention, source, destination model.ServiceName, defaultAllow bool) bool {
	for _, shape := range [][2]model.ServiceName{
		{source, destination}, {model.Wildcard, destination}, {source, model.Wildcard}, {model.Wildcard, model.Wildcard},
	} {
		for _, i := range all {
			if i.SourcePeer == "" && i.SourceName == shape[0] && i.DestinationName == shape[1] {
				return i.Action == model.ActionAllow && i.Permissions == nil && i.JWT == nil
			}
		}
	}
	return defaultAllow
}

func TestDecisionEqualsNaiveReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawIntentions(t)
		defaultAllow := rapid.Bool().Draw(t, "default")
		for _, destination := range []model.ServiceName{"web", "api", "db", "other"} {
			forDest := intention.MatchDestination(all, destination)
			rules := intention.Rules(forDest)
			for _, source := range []model.ServiceName{"web", "api", "db", "stranger"} {
				want := naive(all, source, destination, defaultAllow)
				if got := intention.Decide(forDest, source, defaultAllow); got.Allowed != want {
					t.Fatalf("%s to %s: decided %v by %v, want %v", source, destination, got.Allowed, got.By, want)
				}
				if got := byRules(rules, source, defaultAllow); got != want {
					t.Fatalf("%s to %s: rules say %v, want %v", source, destination, got, want)
				}
			}
		}
	})
}

func byRules(rules []intention.Rule, source model.ServiceName, defaultAllow bool) bool {
	for _, r := range rules {
		if r.Source == source || r.Source == model.Wildcard {
			return r.Allow
		}
	}
	return defaultAllow
}

func TestOrderOfEvaluationIsTotalAndDescends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawIntentions(t)
		sorted := slices.Clone(all)
		intention.Sort(sorted)
		for k := 1; k < len(sorted); k++ {
			a, b := sorted[k-1], sorted[k]
			if intention.Compare(a, b) >= 0 {
				t.Fatalf("%v and %v are not in strict order", a, b)
			}
			if intention.Precedence(a.SourceName, a.DestinationName) < intention.Precedence(b.SourceName, b.DestinationName) {
				t.Fatalf("%v before %v", a, b)
			}
		}
	})
}

func TestPrecedenceOfTheFourShapes(t *testing.T) {
	for _, c := range []struct {
		source, destination model.ServiceName
		want                int
	}{{"a", "b", 9}, {"*", "b", 8}, {"a", "*", 6}, {"*", "*", 5}} {
		if got := intention.Precedence(c.source, c.destination); got != c.want {
			t.Errorf("%s to %s: %d, want %d", c.source, c.destination, got, c.want)
		}
	}
}

func TestDestinationIsFoundInAnyCase(t *testing.T) {
	deny := &model.Intention{SourceName: "web", DestinationName: "DB", Action: model.ActionDeny}
	if d := intention.Decide(intention.MatchDestination([]*model.Intention{deny}, "db"), "web", true); d.Allowed {
		t.Fatal("another spelling of the destination evaded the intention")
	}
}

func TestRuleNameTellsSourceDestinationAndPrecedence(t *testing.T) {
	i := &model.Intention{SourceName: "*", DestinationName: "db"}
	if got := intention.RuleName(i); got != "intention:8:*=>db" {
		t.Fatal(got)
	}
}
