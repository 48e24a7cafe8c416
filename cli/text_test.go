package cli

import "testing"

func TestNearestNamesOnlyWhatIsNear(t *testing.T) {
	names := []string{"members", "monitor", "info"}
	for word, want := range map[string]string{"membrs": "members", "inof": "info", "x": "", "completely": ""} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestWrapKeepsIndentedLinesAndBreaksTheRest(t *testing.T) {
	got := wrap("aaa bbb\n  code line stays\nccc", "> ")
	if want := "> aaa bbb\n>   code line stays\n> ccc"; got != want {
		t.Errorf("wrap = %q, want %q", got, want)
	}
}
