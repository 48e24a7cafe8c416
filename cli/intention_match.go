package cli

import (
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// exitMatchFailed is the code of an "intention match" that the agent refused.
const exitMatchFailed = 2

func intentionMatch(sh *shell) *command {
	c := newCommand(sh, "intention match", "[options] SRC|DST", "List the intentions that concern a service")
	c.text = `Prints the intentions that match a service as destination, or with -source as source, in the order in which they decide.`
	c.example = "intention match -source web"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	var source, destination bool
	c.flags.BoolVar(&source, "source", false, "Match by source.")
	c.flags.BoolVar(&destination, "destination", false, "Match by destination. This is the default.")
	c.run = func(args []string) error {
		if source && destination {
			return errors.New("Error: only one of -source or -destination may be specified")
		}
		if len(args) != 1 {
			return errors.New("Error: command requires exactly one argument: src or dst")
		}
		if err := cl.connect(); err != nil {
			return err
		}
		by := api.IntentionMatchDestination
		if source {
			by = api.IntentionMatchSource
		}
		matches, _, err := cl.Connect().IntentionMatch(&api.IntentionMatch{By: by, Names: []string{args[0]}}, cl.query())
		if err != nil {
			return &exit{exitMatchFailed, fmt.Sprintf("Error matching the connection: %v", err), cl.hint()}
		}
		for _, ixn := range matches[args[0]] {
			fmt.Fprintln(sh.stdout, ixn)
		}
		return nil
	}
	return c
}
