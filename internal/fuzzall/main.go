// Package main runs every fuzz target of the module, one after the other, each for a while: what `make fuzz`
// calls. It ends with 1 when one of them found something.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	each := flag.Duration("time", 30*time.Second, "how long each target is fuzzed")
	flag.Parse()
	targets, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	failed := 0
	for _, t := range targets {
		fmt.Printf("== %s %s (%s)\n", t.pkg, t.name, *each)
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), t.pkg)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			failed++
		}
	}
	fmt.Printf("%d targets, %d failed\n", len(targets), failed)
	if failed > 0 {
		os.Exit(1)
	}
}

type target struct{ pkg, name string }

// list asks the test binaries for their targets.
func list() ([]target, error) {
	out, err := exec.Command("go", "test", "-list", "^Fuzz", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the fuzz targets: %w", err)
	}
	var found []target
	var names []string
	for line := range strings.Lines(string(bytes.TrimSpace(out))) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			names = append(names, words[0])
		case len(words) >= 2 && words[0] == "ok":
			for _, n := range names {
				found = append(found, target{words[1], n})
			}
			names = nil
		}
	}
	return found, nil
}
