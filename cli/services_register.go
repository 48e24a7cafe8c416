package cli

import (
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// registerFlags describe one service on the command line.
type registerFlags struct {
	name, id, address, socket, kind string
	port                            int
	tags                            list
	meta, tagged                    pairs
}

func servicesRegister(sh *shell) *command {
	c := newCommand(sh, "services register", "[options] [FILE...]", "Register services with the agent")
	c.text = `Registers the services that the files define (service { } in HCL or JSON), or one that the flags describe. ` +
		`Health checks can be given in files only.

A service that is registered under the same ID is replaced.`
	c.example = "services register -name=web -port=8080"
	cl := c.client()
	cl.serverFlags(c)
	cl.tenancyFlags(c)
	var f registerFlags
	c.flags.StringVar(&f.address, "address", "", "Address of the service; its node's address by default.")
	c.flags.StringVar(&f.id, "id", "", "ID of this instance; the name by default.")
	c.flags.StringVar(&f.kind, "kind", "", "Kind of the service, such as connect-proxy; a plain one by default.")
	c.flags.Var(&f.meta, "meta", "Metadata of the service (`key=value`); may be repeated.")
	c.flags.StringVar(&f.name, "name", "", "Name of the service.")
	c.flags.IntVar(&f.port, "port", 0, "Port of the service.")
	c.flags.StringVar(&f.socket, "socket", "", "Path of the Unix socket of the service, instead of address and port.")
	c.flags.Var(&f.tags, "tag", "Tag of the service; may be repeated.")
	c.flags.Var(&f.tagged, "tagged-address", "Further address of the service (`name=address:port`); may be repeated.")
	c.run = func(files []string) error {
		switch {
		case len(files) == 0 && f.name == "":
			return errors.New("Service registration requires at least one argument or flags.")
		case len(files) > 0 && (f.name != "" || f.id != ""):
			return errors.New("Service registration requires arguments or -id, not both.")
		case len(files) > 0:
			return registerFiles(cl, files)
		case f.port < 0 || f.port > 65535:
			return withHint(fmt.Errorf("Error: -port=%d is not a port", f.port), "use 1 to 65535, or leave it out")
		}
		return f.register(cl)
	}
	return c
}

func (f *registerFlags) register(cl *client) error {
	reg := &api.AgentServiceRegistration{
		Kind: api.ServiceKind(f.kind), ID: f.id, Name: f.name, Address: f.address, Port: f.port, SocketPath: f.socket,
		Tags: f.tags, Meta: f.meta,
	}
	for tag, text := range f.tagged {
		addr, err := api.ParseServiceAddr(text)
		if err != nil {
			return withHint(fmt.Errorf("Error: -tagged-address %s=%s: %w", tag, text, err), "write it as %s=ADDRESS:PORT", tag)
		}
		if reg.TaggedAddresses == nil {
			reg.TaggedAddresses = make(map[string]api.ServiceAddress)
		}
		reg.TaggedAddresses[tag] = addr
	}
	if err := cl.connect(); err != nil {
		return err
	}
	if err := cl.Agent().ServiceRegister(reg); err != nil {
		return cl.fail(fmt.Sprintf("Error registering service %q", f.name), err)
	}
	fmt.Fprintf(cl.sh.stdout, "Registered service: %s\n", f.name)
	return nil
}

// registerFiles reads all files before it registers anything, so that a fault in the last leaves the agent as it was.
func registerFiles(cl *client, files []string) error {
	defs, err := readServices(cl.sh, files, looseCheck)
	if err != nil {
		return err
	}
	if err := cl.connect(); err != nil {
		return err
	}
	for i := range defs {
		def := &defs[i]
		w := &api.WriteOptions{Token: def.Token.Reveal()}
		if _, err := cl.Raw().Write("/v1/agent/service/register", registrationBody(def), nil, w); err != nil {
			return cl.fail(fmt.Sprintf("Error registering service %q", def.Service.Service), err)
		}
		fmt.Fprintf(cl.sh.stdout, "Registered service: %s\n", def.Service.Service)
	}
	return nil
}
