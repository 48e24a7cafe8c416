package layout

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// pure are the packages that are functions of their arguments alone: no clock, no dice, no network, no files, no
// log. The first rows are the core, where replicas would part if it were otherwise; the others have promised it in
// their package comment.
func pure() []string {
	return []string{
		"model", "model/fault", "controlplane/state", "controlplane/command", "controlplane/view", "controlplane/read",
		"controlplane/acl", "controlplane/intention", "controlplane/chain",
		"agent/definition", "proxy/balance", "proxy/rbac",
	}
}

// impureImports are what pure packages do not import, with the reason. A path that ends in a slash stands for all
// below it.
func impureImports() map[string]string {
	return map[string]string{
		"net": "a network answers differently each time", "net/http": "a network answers differently each time",
		"net/http/": "a network answers differently each time", "net/rpc": "a network answers differently each time",
		"os": "files and environment differ between hosts", "os/": "files and environment differ between hosts",
		"io/ioutil": "files differ between hosts", "syscall": "systems differ", "golang.org/x/sys/": "systems differ",
		"math/rand": "randomness is an argument", "math/rand/v2": "randomness is an argument", "crypto/rand": "randomness is an argument",
		"github.com/google/uuid": "ids are arguments", "log": "what happens is told by results", "log/": "what happens is told by results",
		"github.com/hashicorp/go-hclog": "what happens is told by results", "unsafe": "the race detector cannot see behind it",
	}
}

// clock are the functions of package time that read or wait for the clock.
func clock() []string {
	return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
}

// shells are the uses that pure packages do have, as file and use, with the reason.
func shells() map[string]string {
	engine := "the engine is the thin shell around the reads, which are the pure part: "
	return map[string]string{
		"controlplane/view/engine.go time.Now":       engine + "idle views are dropped by the clock",
		"controlplane/view/engine.go time.NewTicker": engine + "idle views are dropped by the clock",
		"controlplane/view/mirror.go time.Now":       engine + "idle views are dropped by the clock",
		"controlplane/view/mirror.go time.NewTicker": engine + "idle views are dropped by the clock",
		"controlplane/view/view.go time.NewTimer":    engine + "a blocking query ends after its wait",
	}
}

// impurities returns what pure packages must not have, and the exceptions that nothing needs.
func impurities(pure []string, exceptions map[string]string, list []*source) (violations []string) {
	used := map[string]bool{}
	for _, dir := range pure {
		for _, f := range packages(list)[dir] {
			for _, u := range impureUses(f) {
				if exceptions[u.key] != "" {
					used[u.key] = true
					continue
				}
				violations = append(violations, fmt.Sprintf("%s: %s is pure: %s", u.where, dir, u.reason))
			}
		}
	}
	for key := range exceptions {
		if !used[key] {
			violations = append(violations, fmt.Sprintf("the exception %q is needed no more: remove it", key))
		}
	}
	return violations
}

// use is something impure in a file; key names it for the exceptions.
type use struct{ key, where, reason string }

func impureUses(f *source) (uses []use) {
	timeName := ""
	for p, name := range f.imports() {
		if p == "time" {
			timeName = name
		}
		if reason := impureImport(p); reason != "" {
			uses = append(uses, use{f.path + " " + p, f.path, "it does not import " + p + ": " + reason})
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			uses = append(uses, use{f.path + " go", f.at(n), "it starts no goroutine: order would not be given"})
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(clock(), n.Sel.Name) {
				uses = append(uses, use{f.path + " time." + n.Sel.Name, f.at(n), "time." + n.Sel.Name + " reads the clock; take the time as an argument"})
			}
		}
		return true
	})
	return uses
}

func impureImport(p string) string {
	for name, reason := range impureImports() {
		if p == name || strings.HasSuffix(name, "/") && strings.HasPrefix(p, name) {
			return reason
		}
	}
	return ""
}

func TestPurePackagesArePure(t *testing.T) { report(t, impurities(pure(), shells(), repository(t))) }

func TestPurityRuleSeesViolations(t *testing.T) {
	expect(t, impurities([]string{"p"}, map[string]string{"p/shell.go time.Now": "why", "p/gone.go time.Now": "why"}, sources(t, map[string]string{
		"p/a.go":      `package p; import ("os"; "net/netip"; "time"); var _ = os.Args; var _ netip.Addr; var _ time.Duration`,
		"p/b.go":      `package p; import clock "time"; func now() clock.Time { return clock.Now() }`,
		"p/c.go":      `package p; func f() { go f() }`,
		"p/d.go":      `package p; import "log/slog"; var _ = slog.Info`,
		"p/shell.go":  `package p; import "time"; var now = time.Now`,
		"p/e_test.go": `package p; import ("os"; "time"); var _, _ = os.Args, time.Now()`,
		"q/a.go":      `package q; import "os"; var _ = os.Args`,
	})), "p/a.go: p is pure: it does not import os", "p/b.go:1: p is pure: time.Now reads the clock", "p/c.go:1: p is pure: it starts no goroutine",
		"p/d.go: p is pure: it does not import log/slog", `the exception "p/gone.go time.Now" is needed no more`)
}
