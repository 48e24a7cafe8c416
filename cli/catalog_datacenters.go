package cli

import "fmt"

func catalogDatacenters(sh *shell) *command {
	c := newCommand(sh, "catalog datacenters", "[options]", "List the known datacenters")
	c.text = `Prints the names of the datacenters that the agent knows, one per line, the nearest first.`
	c.example = "catalog datacenters"
	cl := c.client()
	cl.serverFlags(c)
	c.run = func([]string) error {
		if err := cl.connect(); err != nil {
			return err
		}
		names, err := cl.Catalog().Datacenters()
		if err != nil {
			return cl.fail("Error listing datacenters", err)
		}
		for _, name := range names {
			fmt.Fprintln(sh.stdout, name)
		}
		return nil
	}
	return c
}
