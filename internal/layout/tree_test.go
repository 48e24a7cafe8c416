package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of this repository's module.
const module = "github.com/lictor-mesh/lictor"

// source is a file of Go as far as the rules look at it.
type source struct {
	path string // from the repository's root, with slashes
	test bool
	// generated files are written by a tool, and answer for the tool's habits.
	generated bool
	syntax    *ast.File
	fset      *token.FileSet
}

// dir is the directory of the file's package, "." for the root.
func (s *source) dir() string { return path.Dir(s.path) }

// at is where a node stands.
func (s *source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// imports are the paths that the file imports, each with the name that it has in the file.
func (s *source) imports() map[string]string {
	m := map[string]string{}
	for _, i := range s.syntax.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		name := path.Base(p)
		if major := strings.TrimPrefix(name, "v"); major != name && strings.Trim(major, "0123456789") == "" {
			name = path.Base(path.Dir(p))
		}
		if i.Name != nil {
			name = i.Name.Name
		}
		m[p] = name
	}
	return m
}

// parseSource reads one file.
func parseSource(name, text string) (*source, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{path: name, test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(f), syntax: f, fset: fset}, nil
}

// sources parses made-up files, by path.
func sources(t *testing.T, files map[string]string) (list []*source) {
	t.Helper()
	for name, text := range files {
		s, err := parseSource(name, text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *source) int { return strings.Compare(a.path, b.path) })
	return list
}

// top is the directory of the repository: tests run in that of their package.
const top = "../.."

// repository parses the Go files of this repository, once for all rules.
func repository(t *testing.T) []*source {
	t.Helper()
	list, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if packages(list)["model"] == nil {
		t.Fatal("the repository's packages were not found: the rules would hold for nothing")
	}
	return list
}

var parsed = sync.OnceValues(func() (list []*source, err error) {
	names, err := files(top)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(top, name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s, err := parseSource(name, string(text))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
})

// files lists what belongs to the repository below top, without what builds leave there and what is hidden.
func files(top string) (list []string, err error) {
	err = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if name == "bin" || name == "dist" || name == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			list = append(list, name)
		}
		return nil
	})
	return list, err
}

// packages groups the files that are no tests by directory; what tools write counts as part of its package.
func packages(list []*source) map[string][]*source {
	m := map[string][]*source{}
	for _, s := range list {
		if !s.test && !strings.Contains("/"+s.path, "/testdata/") {
			m[s.dir()] = append(m[s.dir()], s)
		}
	}
	return m
}

// report fails the test with one line for each violation.
func report(t *testing.T, violations []string) {
	t.Helper()
	slices.Sort(violations)
	for _, v := range slices.Compact(violations) {
		t.Error(v)
	}
}

// expect fails unless the violations are the wanted ones, each told by a part of it.
func expect(t *testing.T, violations []string, want ...string) {
	t.Helper()
	if len(violations) != len(want) {
		t.Errorf("%d violations, want %d:\n%s", len(violations), len(want), strings.Join(violations, "\n"))
		return
	}
	slices.Sort(violations)
	for n, v := range violations {
		if !strings.Contains(v, want[n]) {
			t.Errorf("%q does not tell %q", v, want[n])
		}
	}
}
