package cli

import (
	"errors"
	"fmt"
)

func intentionDelete(sh *shell) *command {
	c := newCommand(sh, "intention delete", "[options] SRC DST", "Delete an intention")
	c.usage = append(c.usage, "intention delete [options] ID")
	c.text = `Deletes one intention, found by its source and destination, or by its ID. Deleting one that does not exist succeeds.`
	c.example = "intention delete web db"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	c.run = func(args []string) error {
		if len(args) != 1 && len(args) != 2 {
			return errors.New("command requires exactly 1 or 2 arguments")
		}
		if err := cl.connect(); err != nil {
			return err
		}
		var err error
		if len(args) == 1 {
			//lint:ignore SA1019 the command has a form that names intentions by the id of the deprecated API
			_, err = cl.Connect().IntentionDelete(args[0], nil) //nolint:staticcheck // IDs remain valid in scripts
		} else {
			_, err = cl.Connect().IntentionDeleteExact(args[0], args[1], nil)
		}
		if err != nil {
			return cl.fail("Error deleting the intention", err)
		}
		fmt.Fprintln(sh.stdout, "Intention deleted.")
		return nil
	}
	return c
}
