package layout

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// constantCalls are the calls whose result nobody changes, so that a package-level variable may hold it. Each makes
// an error, an expression, or a value once.
func constantCalls() []string {
	return []string{"errors.New", "fmt.Errorf", "fault.New", "status.Error", "regexp.MustCompile", "netip.MustParsePrefix", "netip.MustParseAddr",
		"template.Must", "sync.OnceValue", "sync.OnceValues", "reflect.TypeFor", "reflect.TypeOf", "strings.NewReplacer", "len", "string", "[]byte"}
}

// allowedGlobals are the package-level variables that are state and may be, as directory and name, with the reason.
func allowedGlobals() map[string]string {
	return map[string]string{}
}

// hiddenState returns what a package does or keeps behind its callers' backs: init functions, and package-level
// variables that are not constants in all but name.
func hiddenState(allowed map[string]string, list []*source) (violations []string) {
	used := map[string]bool{}
	for dir, files := range packages(list) {
		written := writtenNames(files)
		for _, f := range files {
			if f.generated {
				continue
			}
			for _, d := range f.syntax.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					violations = append(violations, fmt.Sprintf("%s: init() runs before main has read its options: write the list out where it is used", f.at(fn)))
				}
				for name, reason := range variables(f, d, written) {
					key := dir + " " + name.Name
					if allowed[key] != "" {
						used[key] = true
						continue
					}
					violations = append(violations, fmt.Sprintf("%s: the package-level variable %s %s: let a constructor take it, or a function make it", f.at(name), name.Name, reason))
				}
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			violations = append(violations, fmt.Sprintf("the exception %q is needed no more: remove it", key))
		}
	}
	return violations
}

// variables returns the names of a declaration that are state, each with what makes it so.
func variables(f *source, d ast.Decl, written map[string]bool) map[*ast.Ident]string {
	found := map[*ast.Ident]string{}
	decl, ok := d.(*ast.GenDecl)
	if !ok || decl.Tok != token.VAR {
		return found
	}
	for _, spec := range decl.Specs {
		v := spec.(*ast.ValueSpec)
		for n, name := range v.Names {
			switch {
			case name.Name == "_", embedded(decl, v):
			case written[name.Name]:
				found[name] = "is written after its declaration"
			case len(v.Values) == 0:
				found[name] = "has no value, so somebody must set it"
			case !constant(v.Values[min(n, len(v.Values)-1)]):
				found[name] = "does not hold an obviously constant value"
			case ast.IsExported(name.Name) && !strings.HasPrefix(name.Name, "Err"):
				found[name] = "is exported, so that any package may set it"
			}
		}
	}
	return found
}

// embedded tells whether a variable holds files that the compiler put there.
func embedded(decl *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{decl.Doc, v.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }) {
			return true
		}
	}
	return false
}

// constant tells whether an expression has a value that nothing changes unless a variable that holds it is written.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.SelectorExpr, *ast.FuncLit:
		return true
	case *ast.ParenExpr:
		return constant(e.X)
	case *ast.UnaryExpr:
		return e.Op != token.AND && e.Op != token.ARROW && constant(e.X)
	case *ast.BinaryExpr:
		return constant(e.X) && constant(e.Y)
	case *ast.KeyValueExpr:
		return constant(e.Value)
	case *ast.CompositeLit:
		return !slices.ContainsFunc(e.Elts, func(x ast.Expr) bool { return !constant(x) }) && !strings.HasPrefix(text(e.Type), "sync.") && !strings.HasPrefix(text(e.Type), "atomic.")
	case *ast.CallExpr:
		return slices.Contains(constantCalls(), text(e.Fun))
	default:
		return false
	}
}

// text spells the names of an expression, as "sync.Mutex" and, for an instance of a generic function, the function.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	case *ast.IndexExpr:
		return text(e.X)
	case *ast.IndexListExpr:
		return text(e.X)
	case *ast.ArrayType:
		return "[]" + text(e.Elt)
	default:
		return ""
	}
}

// writtenNames are the names that functions of a package assign to, take the address of, or delete from, without a
// declaration of the same name in that function. A local that shadows a package's variable hides it.
func writtenNames(files []*source) map[string]bool {
	written := map[string]bool{}
	for _, f := range files {
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			local := localNames(fn)
			ast.Inspect(fn, func(n ast.Node) bool {
				for _, e := range targets(n) {
					if name := rootName(e); name != "" && !local[name] {
						written[name] = true
					}
				}
				return true
			})
		}
	}
	return written
}

// targets are the expressions that a node writes to.
func targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if name := text(n.Fun); (name == "delete" || name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// rootName is the variable that an expression is a part of.
func rootName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return rootName(e.X)
	case *ast.IndexExpr:
		return rootName(e.X)
	case *ast.StarExpr:
		return rootName(e.X)
	case *ast.ParenExpr:
		return rootName(e.X)
	default:
		return ""
	}
}

// localNames are the names that a function declares: parameters, results, variables.
func localNames(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	fields := func(l *ast.FieldList) {
		if l == nil {
			return
		}
		for _, f := range l.List {
			for _, n := range f.Names {
				names[n.Name] = true
			}
		}
	}
	fields(fn.Recv)
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			fields(n.Params)
			fields(n.Results)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					names[rootName(e)] = true
				}
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				for _, e := range []ast.Expr{n.Key, n.Value} {
					if e != nil {
						names[rootName(e)] = true
					}
				}
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		}
		return true
	})
	return names
}

func TestNoStateBehindAPackagesBack(t *testing.T) {
	report(t, hiddenState(allowedGlobals(), repository(t)))
}

func TestStateRuleSeesViolations(t *testing.T) {
	expect(t, hiddenState(map[string]string{"p allowed": "why", "p gone": "why"}, sources(t, map[string]string{
		"p/a.go": `package p
import ("embed"; "errors"; "regexp"; "sync")
var errA = errors.New("a")
var ErrB = errors.New("b")
var re = regexp.MustCompile("x")
var table = map[string][]string{"a": {"b"}}
var _ sync.Locker = (*sync.Mutex)(nil)
//go:embed a.go
var files embed.FS
var allowed = make(map[string]int)
var linked = "dev"
func f(table map[string]int) { table["x"] = 1; linked := 2; linked++ }`,
		"p/b.go": `package p
func init() {}
var cache = map[string]int{}
var count int
var mu = &lock{}
var made = make(chan int)
var Exported = []string{"a"}
var number = 1
func g() { cache["x"] = 1; number++ }
type lock struct{}
func (lock) init() {}`,
		"p/gen.go":    "// Code generated by a tool. DO NOT EDIT.\n\npackage p\nfunc init() {}\nvar made2 = make(chan int)",
		"p/c_test.go": "package p\nvar state int",
	})), "p/b.go:2: init()", "p/b.go:3: the package-level variable cache is written", "p/b.go:4: the package-level variable count has no value",
		"p/b.go:5: the package-level variable mu does not hold", "p/b.go:6: the package-level variable made does not", "p/b.go:7: the package-level variable Exported is exported",
		"p/b.go:8: the package-level variable number is written", `the exception "p gone" is needed no more`)
}
