// Command bench measures bin/lictor beside its peers from Debian's packages, all on loopback and in one run, and prints
// medians and ratios.
//
// Each measurement is one file, bench_NAME.go, with one function that returns a bench; adding one is that file and a
// line in benches. Contenders are one file each too: pair_NAME.go is a pair of sidecars with mutual TLS, server_NAME.go
// answers the control plane's questions. Load and the application behind the proxies are this program's own, so that
// nothing else is needed; a peer whose package is missing is skipped, and the report says so.
//
// The machine is shared with whatever else runs on it: rounds alternate the order of the contenders, medians are taken
// over rounds, and the report tells how much of the machine others used meanwhile. Nothing here passes or fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags of this command.
type options struct {
	only, binary, consul, profile string
	quick, markdown, keep         bool
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == floorCommand {
		return serveFloor(ctx, args[1])
	}
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.only, "only", "", "Measure these alone: names with commas between, of "+strings.Join(names(benches()), ", "))
	fs.BoolVar(&o.quick, "quick", false, "One short round: for a look, not for figures to keep.")
	fs.BoolVar(&o.markdown, "markdown", false, "Print Markdown, as docs/benchmarks.md has it.")
	fs.StringVar(&o.binary, "binary", "bin/lictor", "The program to measure.")
	fs.StringVar(&o.consul, "consul", "", "A Consul program to measure as one more server.")
	fs.StringVar(&o.profile, "profile", "", "Write CPU profiles of the loaded sidecars to this directory.")
	fs.BoolVar(&o.keep, "keep", false, "Keep the directory with configurations and logs, and say where it is.")
	if err := fs.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return nil
		}
		return err
	}
	chosen, err := choose(benches(), o.only)
	if err != nil {
		return err
	}
	return measureAll(ctx, o, chosen)
}

// measureAll runs the chosen benches and prints their report, also of those before one that failed.
func measureAll(ctx context.Context, o options, chosen []bench) error {
	r, err := newRig(o)
	if err != nil {
		return err
	}
	defer r.close()
	began, busy := time.Now(), readMachineCPU()
	report := &report{machine: describeMachine(ctx, r)}
	var failed error
	for _, b := range chosen {
		r.say("%s: %s", b.name, b.title)
		t, err := b.run(ctx, r)
		r.closeContenders()
		if err != nil {
			failed = fmt.Errorf("%s: %w (%s)", b.name, err, r.where())
			break
		}
		t.title = b.title
		report.tables = append(report.tables, t)
		if !o.markdown {
			fmt.Println(t.text())
		}
	}
	if len(report.tables) == 0 {
		return failed
	}
	report.skipped = r.skipped
	report.rounds = r.describeRounds()
	report.others = othersShare(busy, time.Since(began))
	if o.markdown {
		fmt.Print(report.markdown())
	} else {
		fmt.Print(report.text())
	}
	return failed
}
