package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

func intentionGet(sh *shell) *command {
	c := newCommand(sh, "intention get", "[options] SRC DST", "Show one intention")
	c.usage = append(c.usage, "intention get [options] ID")
	c.text = `Prints one intention, found by its source and destination, or by its ID.`
	c.example = "intention get web db"
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
		ixn, err := findIntention(cl, args)
		if err != nil {
			return err
		}
		if ixn == nil {
			return noSuchIntention(args)
		}
		fmt.Fprintln(sh.stdout, intentionBlock(ixn))
		return nil
	}
	return c
}

func noSuchIntention(args []string) error {
	if len(args) == 1 {
		return fmt.Errorf("Intention not found with ID %q", args[0])
	}
	return fmt.Errorf("Intention not found with source %q and destination %q", args[0], args[1])
}

func intentionBlock(ixn *api.Intention) string {
	rows := [][]string{{"Source:", ixn.SourceString()}, {"Destination:", ixn.DestinationString()}}
	if ixn.Action != "" {
		rows = append(rows, []string{"Action:", string(ixn.Action)})
	}
	if n := len(ixn.Permissions); n > 0 {
		rows = append(rows, []string{"Permissions:", fmt.Sprint(n)})
	}
	if ixn.ID != "" {
		rows = append(rows, []string{"ID:", ixn.ID})
	}
	if ixn.Description != "" {
		rows = append(rows, []string{"Description:", ixn.Description})
	}
	for _, k := range slices.Sorted(maps.Keys(ixn.Meta)) {
		rows = append(rows, []string{fmt.Sprintf("Meta[%s]:", k), ixn.Meta[k]})
	}
	if !ixn.CreatedAt.IsZero() {
		rows = append(rows, []string{"Created At:", ixn.CreatedAt.Local().Format(time.RFC850)})
	}
	return strings.TrimRight(columns(rows), "\n")
}
