package cli

import (
	"errors"
	"fmt"
)

func leave(sh *shell) *command {
	c := newCommand(sh, "leave", "[options]", "Have the agent leave the cluster and stop")
	c.text = `Has the agent leave the cluster and stop. Others then do not take it for failed, and do not try to reach it again.`
	c.example = "leave"
	cl := c.client()
	c.run = func(args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("Unexpected extra arguments: %v", args)
		}
		if err := cl.connect(); err != nil {
			return err
		}
		if err := cl.Agent().Leave(); err != nil {
			return cl.fail("Error leaving", err)
		}
		fmt.Fprintln(sh.stdout, "Graceful leave complete")
		return nil
	}
	return c
}

func forceLeave(sh *shell) *command {
	c := newCommand(sh, "force-leave", "[options] name", "Take a failed member for left")
	c.text = `Has the cluster take a failed member for one that left, so that nobody tries to reach it again. A member that is ` +
		`alive joins again by itself.`
	c.example = "force-leave node2"
	cl := c.client()
	cl.partitionFlag(c)
	var prune, wan bool
	c.flags.BoolVar(&prune, "prune", false, "Remove it from the list of members at once.")
	c.flags.BoolVar(&wan, "wan", false, "Only in the WAN pool; the name is then NODE.DATACENTER.")
	c.run = func(args []string) error {
		if len(args) != 1 {
			return &usageFault{"A single node name must be specified to force leave."}
		}
		if err := cl.connect(); err != nil {
			return err
		}
		if err := cl.forceLeave(args[0], prune, wan); err != nil {
			return cl.fail("Error force leaving", err)
		}
		return nil
	}
	return c
}

func join(sh *shell) *command {
	c := newCommand(sh, "join", "[options] address ...", "Have the agent join a cluster")
	c.text = `Has the agent join the cluster of the agents at the given addresses. One that answers is enough.`
	c.example = "join 10.0.0.2"
	cl := c.client()
	cl.partitionFlag(c)
	var wan bool
	c.flags.BoolVar(&wan, "wan", false, "Join another datacenter's servers to the WAN pool.")
	c.run = func(addrs []string) error {
		if len(addrs) == 0 {
			return &usageFault{"At least one address to join must be specified."}
		}
		if err := cl.connect(); err != nil {
			return err
		}
		joined := 0
		for _, addr := range addrs {
			if err := cl.Agent().Join(addr, wan); err != nil {
				fmt.Fprintf(sh.stderr, "Error joining address '%s': %v\n", addr, err)
				continue
			}
			joined++
		}
		if joined == 0 {
			return cl.hinted(errors.New("Failed to join any nodes."))
		}
		fmt.Fprintf(sh.stdout, "Successfully joined cluster by contacting %d nodes.\n", joined)
		return nil
	}
	return c
}
