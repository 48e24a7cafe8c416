package cli

import (
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
)

func catalogNodes(sh *shell) *command {
	c := newCommand(sh, "catalog nodes", "[options]", "List the nodes of the catalog")
	c.text = `Prints the nodes that the catalog knows, with their ID (its first eight digits), address and datacenter.`
	c.example = "catalog nodes -detailed"
	cl := c.client()
	cl.serverFlags(c)
	cl.partitionFlag(c)
	var detailed bool
	var near, filter, service string
	var meta pairs
	c.flags.BoolVar(&detailed, "detailed", false, "Show whole IDs, tagged addresses and node metadata too.")
	c.flags.StringVar(&filter, "filter", "", "Expression that selects nodes, such as 'Meta.rack == \"r1\"'.")
	c.flags.StringVar(&near, "near", "", "Sort by round-trip time from this node; _agent is the agent's own.")
	c.flags.Var(&meta, "node-meta", "Only nodes that have this `key=value` in their metadata; may be repeated.")
	c.flags.StringVar(&service, "service", "", "Only nodes that run an instance of this `service`.")
	c.run = func([]string) error {
		if err := cl.connect(); err != nil {
			return err
		}
		q := cl.query()
		q.Near, q.Filter, q.NodeMeta = near, filter, meta
		nodes, err := nodesOf(cl, service, q)
		if err != nil {
			return cl.fail("Error listing nodes", err)
		}
		if len(nodes) == 0 {
			fmt.Fprintln(sh.stderr, "No nodes match the given query - try expanding your search.")
			return nil
		}
		fmt.Fprintln(sh.stdout, nodeTable(nodes, detailed))
		return nil
	}
	return c
}

// nodesOf returns all nodes, or those that run service when it is not "".
func nodesOf(cl *client, service string, q *api.QueryOptions) ([]*api.Node, error) {
	if service == "" {
		nodes, _, err := cl.Catalog().Nodes(q)
		return nodes, err
	}
	instances, _, err := cl.Catalog().Service(service, "", q)
	if err != nil {
		return nil, err
	}
	var nodes []*api.Node
	seen := make(map[string]bool)
	for _, in := range instances {
		if seen[in.Node] {
			continue // a node may run several instances
		}
		seen[in.Node] = true
		nodes = append(nodes, &api.Node{ID: in.ID, Node: in.Node, Address: in.Address, Datacenter: in.Datacenter,
			TaggedAddresses: in.TaggedAddresses, Meta: in.NodeMeta})
	}
	return nodes, nil
}

func nodeTable(nodes []*api.Node, detailed bool) string {
	header := "Node ID Address DC"
	if detailed {
		header += " TaggedAddresses Meta"
	}
	rows := [][]string{strings.Fields(header)}
	for _, n := range nodes {
		if detailed {
			rows = append(rows, []string{n.Node, n.ID, n.Address, n.Datacenter, joinPairs(n.TaggedAddresses, ", "), joinPairs(n.Meta, ", ")})
			continue
		}
		rows = append(rows, []string{n.Node, n.ID[:min(8, len(n.ID))], n.Address, n.Datacenter})
	}
	return columns(rows)
}
