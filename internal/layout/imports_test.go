package layout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// house is a part of the repository: all packages at or below one of its paths. They may import one another.
type house struct {
	paths  []string
	reason string
	// only, where it is set, are the houses' paths that this one may stand on, instead of all on lower floors.
	only []string
	// outside, where it is set, are the beginnings of the foreign paths that it may import, instead of all.
	outside []string
}

// floors are the houses of the repository from the ground up. A house stands on lower floors only, never on its
// neighbours.
func floors() [][]house {
	return [][]house{
		{
			{paths: []string{"model"}, reason: "the words that all others speak: they depend on nothing of ours"},
		},
		{
			{paths: []string{"version"}, reason: "a fact that everybody may tell"},
			{paths: []string{"netlimit"}, reason: "the accept wrapper of every listener"},
			{paths: []string{"internal"}, reason: "tools without knowledge of the domain"},
			{paths: []string{"ui"}, reason: "embedded files"},
		},
		{
			{paths: []string{"controlplane/state", "controlplane/command", "controlplane/view", "controlplane/read",
				"controlplane/acl", "controlplane/intention", "controlplane/chain"},
				reason: "the pure core: what is decided here can be tested without a network", only: []string{"model"}},
		},
		{
			{paths: []string{"certs"}, reason: "the authority, which servers run and agents ask"},
			{paths: []string{"rpc"}, reason: "how servers and agents reach each other; it carries what the core defines"},
			{paths: []string{"gossip"}, reason: "who is there; it knows nothing of what they serve"},
		},
		{
			{paths: []string{"xds"}, reason: "views turned into resources, on servers and agents alike"},
		},
		{
			{paths: []string{"controlplane"}, reason: "one server: the wiring of what is below"},
			{paths: []string{"proxy"}, reason: "the data plane runs in processes of its own and knows the control plane by xDS alone, as Envoy does",
				only: []string{"model", "netlimit"},
				outside: []string{"github.com/envoyproxy/go-control-plane/", "google.golang.org/grpc", "google.golang.org/protobuf/",
					"google.golang.org/genproto/", "github.com/hashicorp/go-hclog", "github.com/prometheus/client_golang/", "golang.org/x/"}},
		},
		{
			{paths: []string{"agent"}, reason: "one host: the wiring of servers, edges and sidecars' sources"},
		},
		{
			{paths: []string{"internal/testagent"}, reason: "whole agents for tests"},
		},
		{
			{paths: []string{"examples"}, reason: "users of the mesh, which the demo command starts"},
		},
		{
			{paths: []string{"cli"}, reason: "what a user types; it talks HTTP as any client would"},
		},
		{
			{paths: []string{"cmd"}, reason: "programs: one call into what they run"},
			{paths: []string{"bench"}, reason: "measures the program from outside"},
		},
	}
}

// place returns the floor of a package and its house, that of the longest path.
func place(floors [][]house, dir string) (floor int, found *house) {
	best := ""
	for n := range floors {
		for m := range floors[n] {
			for _, p := range floors[n][m].paths {
				if len(p) > len(best) && (dir == p || strings.HasPrefix(dir, p+"/")) {
					best, floor, found = p, n, &floors[n][m]
				}
			}
		}
	}
	return floor, found
}

// misplaced returns the imports that go up or sideways.
func misplaced(floors [][]house, list []*source) (violations []string) {
	for dir, files := range packages(list) {
		floor, home := place(floors, dir)
		if home == nil {
			violations = append(violations, fmt.Sprintf("%s has no place in the order of packages: give it one, with the reason", dir))
			continue
		}
		for _, f := range files {
			for p := range f.imports() {
				if reason := refused(floors, floor, home, p); reason != "" {
					violations = append(violations, fmt.Sprintf("%s imports %s: %s", f.path, p, reason))
				}
			}
		}
	}
	return violations
}

// refused tells why a house may not import a path, "" if it may.
func refused(floors [][]house, floor int, home *house, imported string) string {
	dir, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		foreign := strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
		if foreign && home.outside != nil && !slices.ContainsFunc(home.outside, func(o string) bool { return strings.HasPrefix(imported, o) }) {
			return fmt.Sprintf("%s stands on %s alone (%s)", home.paths[0], strings.Join(home.outside, ", "), home.reason)
		}
		return ""
	}
	below, other := place(floors, dir)
	switch {
	case other == nil, other == home:
		return "" // the first is told where that package is looked at
	case home.only != nil && !slices.ContainsFunc(home.only, func(p string) bool { return slices.Contains(other.paths, p) }):
		return fmt.Sprintf("%s stands on %s alone (%s)", home.paths[0], strings.Join(home.only, " and "), home.reason)
	case below >= floor:
		return fmt.Sprintf("%s (%s) is not below %s (%s)", other.paths[0], other.reason, home.paths[0], home.reason)
	}
	return ""
}

func TestImportsPointDown(t *testing.T) { report(t, misplaced(floors(), repository(t))) }

func TestImportRuleSeesViolations(t *testing.T) {
	expect(t, misplaced(floors(), sources(t, map[string]string{
		"model/a.go":              `package model; import _ "` + module + `/version"`,
		"controlplane/view/a.go":  `package view; import _ "` + module + `/controlplane/state"`,
		"controlplane/state/a.go": `package state; import _ "` + module + `/certs"`,
		"controlplane/a.go":       `package controlplane; import _ "` + module + `/controlplane/view"`,
		"proxy/ads/a.go":          `package ads; import (_ "` + module + `/proxy/rbac"; _ "` + module + `/model/fault"; _ "` + module + `/certs")`,
		"proxy/tunnel/a.go":       `package tunnel; import (_ "github.com/hashicorp/raft"; _ "google.golang.org/grpc/codes"; _ "net/http")`,
		"xds/a.go":                `package xds; import _ "` + module + `/controlplane"`,
		"xds/a_test.go":           `package xds; import _ "` + module + `/agent"`,
		"cmd/lictor/main.go":      `package main; import _ "` + module + `/cli"`,
		"elsewhere/a.go":          `package elsewhere`,
	})),
		"controlplane/state/a.go imports "+module+"/certs", "elsewhere has no place", "model/a.go imports "+module+"/version",
		"proxy/ads/a.go imports "+module+"/certs", "proxy/tunnel/a.go imports github.com/hashicorp/raft", "xds/a.go imports "+module+"/controlplane")
}
