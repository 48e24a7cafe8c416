package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sources calls f with the path of each Go file of the repository, relative to its top.
func sources(t *testing.T, f func(path string)) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "dist" || (len(d.Name()) > 2 && d.Name()[0] == '.')):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			rel, err := filepath.Rel("..", path)
			if err != nil {
				return err
			}
			f(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTestsThatHoldPromisesExist holds reliability.md to the packages and tests that it names.
func TestTestsThatHoldPromisesExist(t *testing.T) {
	tests := map[string]string{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	sources(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, m := range declared.FindAllStringSubmatch(page(t, "../"+path), -1) {
			tests[filepath.ToSlash(filepath.Dir(path))+" "+m[1]] = path
		}
	})
	named := 0
	for _, line := range strings.Split(page(t, "reliability.md"), "\n") {
		at := ""
		for _, m := range regexp.MustCompile("`([a-z/]+)` |(Test\\w+)").FindAllStringSubmatch(line, -1) {
			if m[1] != "" {
				at = m[1]
				continue
			}
			if named++; line[0] == '|' && tests[at+" "+m[2]] == "" {
				t.Errorf("reliability.md names %s in %q, and there is no such test", m[2], at)
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d tests were found in reliability.md: it is read wrongly", named)
	}
}

// TestEveryDirectDependencyIsExplained holds dependencies.md to what the code imports.
func TestEveryDirectDependencyIsExplained(t *testing.T) {
	text := page(t, "dependencies.md")
	missing := map[string]string{}
	sources(t, func(path string) {
		f, err := parser.ParseFile(token.NewFileSet(), "../"+path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			module := moduleOf(strings.Trim(spec.Path.Value, `"`))
			if module != "" && !strings.Contains(text, module) {
				missing[module] = path
			}
		}
	})
	for module, path := range missing {
		t.Errorf("%s is imported (%s) and not explained in dependencies.md", module, path)
	}
}

// moduleOf is the part of an import path that a reader knows a library by, "" for Go's own and ours.
func moduleOf(path string) string {
	parts := strings.Split(path, "/")
	switch {
	case !strings.Contains(parts[0], ".") || strings.HasPrefix(path, "github.com/lictor-mesh/"):
		return ""
	case parts[0] == "github.com" && len(parts) > 2:
		return parts[1] + "/" + parts[2]
	case parts[0] == "google.golang.org":
		return parts[1]
	case len(parts) > 2 && parts[0] == "golang.org":
		return strings.Join(parts[:3], "/")
	default:
		return parts[0] + "/" + parts[1]
	}
}

// TestLinksOfDocumentsLead holds that what a page links to is in the repository.
func TestLinksOfDocumentsLead(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, name := range append(pages, "../README.md", "../CONTRIBUTING.md") {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(page(t, name), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found: the pages are read wrongly", links)
	}
}
