package cli

import (
	"fmt"
	"strconv"
)

// exitNoIntentions tells a script that the list is empty, not that it could not be read.
const exitNoIntentions = 2

func intentionList(sh *shell) *command {
	c := newCommand(sh, "intention list", "", "List all intentions")
	c.text = `Prints all intentions, the one that decides first at the top. Those made by a service-intentions config entry have no ID, ` +
		`those that decide by HTTP request have no action.

Exits with 2 when there is none, with 1 when the list could not be read.`
	c.example = "intention list"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	c.run = func([]string) error {
		if err := cl.connect(); err != nil {
			return err
		}
		ixns, _, err := cl.Connect().Intentions(cl.query())
		if err != nil {
			return cl.fail("Failed to retrieve the intentions list", err)
		}
		if len(ixns) == 0 {
			return &exit{code: exitNoIntentions, text: "There are no intentions."}
		}
		rows := [][]string{{"ID", "Source", "Action", "Destination", "Precedence"}}
		for _, ixn := range ixns {
			rows = append(rows, []string{ixn.ID, ixn.SourceString(), string(ixn.Action), ixn.DestinationString(), strconv.Itoa(ixn.Precedence)})
		}
		fmt.Fprintln(sh.stdout, columns(rows))
		return nil
	}
	return c
}
