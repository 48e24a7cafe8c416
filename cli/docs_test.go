package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPagesSayWhatTheCommandsSay(t *testing.T) {
	dir := filepath.Join("..", "docs", "cli")
	pages := Pages()
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its command says (%v): run go generate ./cli", name, err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if pages[filepath.Base(path)] == nil {
			t.Errorf("%s belongs to no command: run go generate ./cli", path)
		}
	}
}

func TestEveryCommandIsDescribedAndHasAnExampleThatParses(t *testing.T) {
	for _, c := range commands(&shell{program: "lictor"}) {
		if c.synopsis == "" || c.text == "" {
			t.Errorf("%s lacks a synopsis or a text", c.name)
		}
		if c.run == nil {
			continue
		}
		rest, ok := strings.CutPrefix(c.example+" ", c.name+" ")
		if !ok {
			t.Errorf("the example of %s is %q: it does not run that command", c.name, c.example)
			continue
		}
		if err := c.flags.Parse(strings.Fields(rest)); err != nil {
			t.Errorf("the example of %s does not parse: %v", c.name, err)
		}
	}
}
