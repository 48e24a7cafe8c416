package docs_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of compatibility.md")

// The generated part of compatibility.md stands between these lines.
const (
	opening = "<!-- Generated from the table of routes: go test ./docs -update -->\n"
	closing = "<!-- End of what is generated -->\n"
)

// TestEndpointsOfCompatibilityAreThoseOfTheRoutes holds the document's list of endpoints to the two tables that the
// HTTP API serves by.
func TestEndpointsOfCompatibilityAreThoseOfTheRoutes(t *testing.T) {
	const name = "compatibility.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), opening)
	_, after, ended := strings.Cut(rest, closing)
	if !found || !ended {
		t.Fatalf("%s has not the lines between which its endpoints are generated", name)
	}
	want := before + opening + endpoints(t) + closing + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s lists other endpoints than are served; go test ./docs -update writes them", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// endpoints is the generated part.
func endpoints(t *testing.T) string {
	served, absent := routesOf(t, "routes.go"), routesOf(t, "notyet.go")
	if len(served) < 20 || len(absent) < 20 {
		t.Fatalf("%d endpoints are served and %d are not: the tables of agent/httpapi are read wrongly", len(served), len(absent))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d endpoints are served (a path that ends in `/` goes on with a name or ID):\n\n| Area | Endpoints |\n|---|---|\n", len(served))
	byArea(&b, served)
	fmt.Fprintf(&b, "\n%d answer 501 with one line that says so:\n\n| Area | Endpoints |\n|---|---|\n", len(absent))
	byArea(&b, absent)
	return b.String()
}

// byArea writes one row for each first word of the paths.
func byArea(b *strings.Builder, routes map[string][]string) {
	areas := map[string][]string{}
	for path, methods := range routes {
		area := strings.Split(path, "/")[2]
		areas[area] = append(areas[area], fmt.Sprintf("`%s` (%s)", path, strings.Join(methods, ", ")))
	}
	names := make([]string, 0, len(areas))
	for n := range areas {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		sort.Strings(areas[n])
		fmt.Fprintf(b, "| %s | %s |\n", n, strings.Join(areas[n], "<br>"))
	}
}

// routesOf reads the paths and methods of one table from its source: composite literals that begin with a path.
func routesOf(t *testing.T, file string) map[string][]string {
	path := filepath.Join("..", "agent", "httpapi", file)
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string][]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok || len(lit.Elts) == 0 {
			return true
		}
		first, ok := lit.Elts[0].(*ast.BasicLit)
		if !ok || first.Kind != token.STRING || !regexp.MustCompile(`^"/v1/`).MatchString(first.Value) {
			return true
		}
		name, err := strconv.Unquote(first.Value)
		if err != nil {
			t.Fatal(err)
		}
		routes[name] = methodsIn(lit)
		if len(routes[name]) == 0 {
			t.Errorf("%s: no method of %s was read", path, name)
		}
		return false
	})
	return routes
}

// methodsIn finds calls of get, put, post and del, and of absent with their first letters.
func methodsIn(lit *ast.CompositeLit) (methods []string) {
	letters := map[string]string{"get": "GET", "put": "PUT", "post": "POST", "del": "DELETE", "g": "GET", "p": "PUT", "o": "POST", "d": "DELETE"}
	ast.Inspect(lit, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := call.Fun.(*ast.Ident).Name
		if m := letters[name]; m != "" {
			methods = append(methods, m)
		}
		if name == "absent" {
			for _, arg := range call.Args {
				methods = append(methods, letters[arg.(*ast.Ident).Name])
			}
		}
		return false
	})
	return methods
}
