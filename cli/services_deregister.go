package cli

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

func servicesDeregister(sh *shell) *command {
	c := newCommand(sh, "services deregister", "[options] [FILE...]", "Deregister services from the agent")
	c.text = `Removes the service with the given ID from the agent and the catalog, or those that the files define. A service that ` +
		`the agent's own configuration files define comes back with the agent's next reload.`
	c.example = "services deregister -id=web"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	var id string
	c.flags.StringVar(&id, "id", "", "ID of the service (not its name, where the two differ).")
	c.run = func(files []string) error {
		switch {
		case len(files) == 0 && id == "":
			return errors.New("Service deregistration requires at least one argument or -id.")
		case len(files) > 0 && id != "":
			return errors.New("Service deregistration requires arguments or -id, not both.")
		}
		var doomed []deregistration
		if id != "" {
			doomed = []deregistration{{id: id}}
		}
		defs, err := readServices(sh, files, func(string, []byte) error { return nil })
		if err != nil {
			return err
		}
		for _, def := range defs {
			name := string(def.Service.Service)
			doomed = append(doomed, deregistration{name, cmp.Or(string(def.Service.ID), name), def.Token.Reveal()})
		}
		return deregister(cl, doomed)
	}
	return c
}

// deregistration names a service to remove; the name is "" where only the ID was given.
type deregistration struct{ name, id, token string }

func deregister(cl *client, doomed []deregistration) error {
	if err := cl.connect(); err != nil {
		return err
	}
	for _, d := range doomed {
		if err := cl.Agent().ServiceDeregisterOpts(d.id, &api.QueryOptions{Token: d.token}); err != nil {
			return cl.fail(fmt.Sprintf("Error deregistering service %q", d.name), err)
		}
		fmt.Fprintf(cl.sh.stdout, "Deregistered service: %s\n", d.id)
	}
	return nil
}
