package version

import (
	"testing"
	"time"
)

func TestBuildDateIsAlwaysATime(t *testing.T) {
	if _, err := time.Parse(time.RFC3339, BuildDate()); err != nil {
		t.Fatalf("BuildDate() = %q: %v", BuildDate(), err)
	}
}

func TestPrereleaseIsWhatFollowsTheFirstDash(t *testing.T) {
	defer func(old string) { own = old }(own)
	for v, want := range map[string]string{"1.2.3": "", "1.2.3-rc1": "rc1", "0.1.0-dev-2": "dev-2"} {
		own = v
		if got := Prerelease(); got != want {
			t.Errorf("Prerelease of %q = %q, want %q", v, got, want)
		}
	}
}
