package cli

import (
	"fmt"
	"maps"
	"slices"
)

func info(sh *shell) *command {
	c := newCommand(sh, "info", "[options]", "Show figures of the agent, for debugging")
	c.text = `Prints the figures that the agent keeps of itself, in sections of "name = value" lines.`
	c.example = "info"
	cl := c.client()
	c.run = func([]string) error {
		if err := cl.connect(); err != nil {
			return err
		}
		self, err := cl.Agent().Self()
		if err != nil {
			return cl.fail("Error querying agent", err)
		}
		stats := self["Stats"]
		for _, section := range slices.Sorted(maps.Keys(stats)) {
			fmt.Fprintf(sh.stdout, "%s:\n", section)
			figures, _ := stats[section].(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(figures)) {
				fmt.Fprintf(sh.stdout, "\t%s = %v\n", name, figures[name])
			}
		}
		return nil
	}
	return c
}
