//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// service is a definition for a configuration file.
func service(name string) string {
	return fmt.Sprintf("service {\n  name = %q\n  port = 80\n}\n", name)
}

func TestReloadSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	a := newAgent(t, service("one"))
	a.start(t)
	eventually(t, "one", func() error { return a.inCatalog("one") })
	a.extra = service("two") + "log_level = \"debug\"\ndatacenter = \"dc9\"\n"
	a.write(t)
	stdout, stderr, code := a.lictor().run(t, "reload")
	if code != 0 || !strings.Contains(stdout, "Configuration reload triggered") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	for title, word := range map[string]string{"Applied": "log_level", "Needs a restart": "datacenter"} {
		if !hasLine(stdout, title, word) {
			t.Errorf("no line with %q and %q in:\n%s", title, word, stdout)
		}
	}
	eventually(t, "two instead of one", func() error {
		if a.inCatalog("one") == nil {
			return errors.New("one is still there")
		}
		return a.inCatalog("two")
	})
	eventually(t, "the new log level", func() error {
		_ = a.leads()
		return a.says("[DEBUG]")
	})
}

func hasLine(text string, words ...string) bool {
	var o output
	_, _ = o.Write([]byte(text))
	return len(o.lines(words...)) > 0
}

// TestBadFileChangesNothing reloads files that cannot be used, by both ways.
func TestBadFileChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAgent(t, service("one"))
	a.start(t)
	eventually(t, "one", func() error { return a.inCatalog("one") })
	for i, c := range []struct{ extra, want string }{
		{service("two") + "prots {}\n", "prots"},
		{service("two") + "service {\n", "RBRACE"},
		{service("two") + "service { name = \"three\" port = 70000 }\n", "70000"},
		{service("two") + service("two"), "given twice"},
		{service("two") + "log_level = 5\n", "log_level"},
	} {
		a.extra = c.extra
		a.write(t)
		stdout, stderr, code := a.lictor().run(t, "reload")
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d: %s%s", c.want, code, stdout, stderr)
		}
		a.signal(t, syscall.SIGHUP)
		eventually(t, "the refusal in the log", func() error {
			if n := len(a.stdout.lines("[ERROR]", "nothing was changed")); n < 2*(i+1) {
				return fmt.Errorf("%d lines", n)
			}
			return a.alive()
		})
		mine, err := a.Agent().Services()
		if err != nil || len(mine) != 1 || mine["one"] == nil {
			t.Errorf("%q: the services are %v, %v", c.want, mine, err)
		}
	}
	if err := os.Remove(a.file); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := a.lictor().run(t, "reload"); code != 1 || !strings.Contains(stderr, a.file) {
		t.Errorf("without the file: exit code %d: %s", code, stderr)
	}
	a.extra = service("two")
	a.write(t)
	a.signal(t, syscall.SIGHUP)
	eventually(t, "two instead of one after all", func() error {
		if a.inCatalog("one") == nil {
			return errors.New("one is still there")
		}
		return a.inCatalog("two")
	})
}
