package cli

import (
	"fmt"

	"github.com/hashicorp/consul/api"
)

// The exit codes of "intention check", on which scripts branch; 0 is allowed.
const (
	exitDenied      = 1
	exitCheckFailed = 2
)

func intentionCheck(sh *shell) *command {
	c := newCommand(sh, "intention check", "[options] SRC DST", "Tell whether a connection would be allowed")
	c.text = `Prints whether service SRC may connect to service DST now: "Allowed" (exit code 0) or "Denied" (exit code 1). Exit code ` +
		`2 is an error. Intentions that decide by HTTP request count as not allowed.`
	c.example = "intention check web db"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	c.run = func(args []string) error {
		if len(args) != 2 {
			return &exit{code: exitCheckFailed, text: "Error: command requires exactly two arguments: src and dst"}
		}
		if err := cl.connect(); err != nil {
			return &exit{code: exitCheckFailed, text: err.Error()}
		}
		allowed, _, err := cl.Connect().IntentionCheck(&api.IntentionCheck{
			Source: args[0], Destination: args[1], SourceType: api.IntentionSourceConsul}, cl.query())
		if err != nil {
			return &exit{exitCheckFailed, fmt.Sprintf("Error checking the connection: %v", err), cl.hint()}
		}
		if !allowed {
			fmt.Fprintln(sh.stdout, "Denied")
			return &exit{code: exitDenied}
		}
		fmt.Fprintln(sh.stdout, "Allowed")
		return nil
	}
	return c
}
