package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/consul/api"
)

func catalogServices(sh *shell) *command {
	c := newCommand(sh, "catalog services", "[options]", "List the services of the catalog")
	c.text = `Prints the names of the services that the catalog knows, one per line, with their tags if asked for.`
	c.example = "catalog services -tags"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	var node string
	var meta pairs
	var tags bool
	c.flags.StringVar(&node, "node", "", "Only services with an instance on this `node`.")
	c.flags.Var(&meta, "node-meta", "Only services on nodes that have this `key=value` in their metadata; may be repeated.")
	c.flags.BoolVar(&tags, "tags", false, "Show the tags of each service, separated by commas.")
	c.run = func([]string) error {
		if err := cl.connect(); err != nil {
			return err
		}
		q := cl.query()
		q.NodeMeta = meta
		services, err := servicesOf(cl, node, q)
		if err != nil {
			return cl.fail("Error listing services", err)
		}
		if len(services) == 0 {
			fmt.Fprintln(sh.stderr, "No services match the given query - try expanding your search.")
			return nil
		}
		fmt.Fprintln(sh.stdout, serviceLines(services, tags))
		return nil
	}
	return c
}

// servicesOf returns the tags of each service, of one node when node is not "".
func servicesOf(cl *client, node string, q *api.QueryOptions) (map[string][]string, error) {
	if node == "" {
		services, _, err := cl.Catalog().Services(q)
		return services, err
	}
	found, _, err := cl.Catalog().Node(node, q)
	if err != nil || found == nil {
		return nil, err
	}
	services := make(map[string][]string)
	for _, s := range found.Services {
		services[s.Service] = append(services[s.Service], s.Tags...)
	}
	return services, nil
}

func serviceLines(services map[string][]string, withTags bool) string {
	var b strings.Builder
	// Six spaces between name and tags, and the padding stays behind names without tags: as Consul prints it.
	w := tabwriter.NewWriter(&b, 0, 2, 6, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if !withTags {
			fmt.Fprintln(w, name)
			continue
		}
		tags := slices.Compact(slices.Sorted(slices.Values(services[name])))
		fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(tags, ","))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return strings.TrimSpace(b.String())
}
