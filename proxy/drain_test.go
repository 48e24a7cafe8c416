package proxy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDrainRuleEndsOnlyWhatRests(t *testing.T) {
	rule := drainRule{Quiet: 500 * time.Millisecond, From: 2 * time.Second, To: 4 * time.Second}
	for _, c := range []struct {
		what                 string
		age, quiet           time.Duration
		answered, conversing bool
		want                 bool
	}{
		{"a request waits for its answer", time.Hour, time.Hour, false, true, false},
		{"rests long enough", 0, 500 * time.Millisecond, true, false, true},
		{"rests, not yet long enough", 0, 499 * time.Millisecond, true, true, false},
		{"in use, early", time.Second, 10 * time.Millisecond, true, true, false},
		{"in use, half way", 3 * time.Second, 250 * time.Millisecond, true, true, true},
		{"in use, half way, shorter rest", 3 * time.Second, 249 * time.Millisecond, true, true, false},
		{"in use, late: between two turns", 4 * time.Second, 0, true, true, true},
		{"a stream from the server, late", time.Hour, 400 * time.Millisecond, true, false, false},
	} {
		if got := rule.due(c.age, c.quiet, c.answered, c.conversing); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestDrainRuleNeverChangesItsMindAsTimePasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(name string) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, name))
		}
		rule := outboundRule(Timing{Quiet: d("quiet rule"), Drain: d("drain")})
		age, quiet, later := d("age"), d("quiet"), d("later")
		answered, conversing := rapid.Bool().Draw(t, "answered"), rapid.Bool().Draw(t, "conversing")
		if rule.due(age, quiet, answered, conversing) && !rule.due(age+later, quiet+later, answered, conversing) {
			t.Fatal("due, and later not")
		}
		if rule.due(age, quiet, answered, conversing) && !answered {
			t.Fatal("ends a connection in the middle of a request")
		}
	})
}
