package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/xds"
)

// envoyFlags are the flags of "connect envoy".
type envoyFlags struct {
	sidecarFor, proxyID, nodeName string
	gateway                       gatewayFlags
	adminBind, adminAccessLog     string
	binary                        string
	readyAddr                     string
	readyPort                     int
	bootstrap, noCentral          bool
	grpc                          grpcTarget
	omitDeprecatedTags            bool
	promBackend, promPath         string
	promFiles                     [4]string // CA file, CA path, certificate, key
}

func connectEnvoy(sh *shell) *command {
	c := newCommand(sh, "connect envoy", "[options] [-- pass-through options]", "Run Envoy as the proxy of a service")
	c.rest = true
	c.text = `Starts Envoy in the place of the native proxy: makes its bootstrap configuration, by which it takes everything else from ` +
		`the agent over xDS, and becomes Envoy. With -bootstrap it prints that configuration and ends. Arguments after "--" go to Envoy.`
	c.example = "connect envoy -sidecar-for=web -bootstrap"
	cl := c.client()
	f := new(envoyFlags)
	f.declare(c)
	cl.tenancyFlags(c)
	c.run = func(args []string) error { return f.run(cl, args) }
	return c
}

func (f *envoyFlags) declare(c *command) {
	fs := c.flags
	fs.StringVar(&f.sidecarFor, "sidecar-for", "", "ID of the service whose registered sidecar this is. Also CONNECT_SIDECAR_FOR.")
	fs.StringVar(&f.proxyID, "proxy-id", "", "ID of the registered proxy that this is. Also CONNECT_PROXY_ID.")
	fs.StringVar(&f.nodeName, "node-name", "", "Node of the proxy, where the agent asked is a server and not on this host.")
	f.gateway.declare(c)
	fs.StringVar(&f.adminBind, "admin-bind", "localhost:19000", "Address (host:port) of Envoy's admin pages.")
	fs.StringVar(&f.adminAccessLog, "admin-access-log-path", "", "Path of their access log. Deprecated: use proxy-defaults.")
	fs.StringVar(&f.binary, "envoy-binary", "", "Path of Envoy; it is looked up in $PATH by default.")
	fs.String("envoy-version", "", "Deprecated: has no effect.")
	fs.StringVar(&f.readyAddr, "envoy-ready-bind-address", "", "Address of a listener that answers /ready.")
	fs.IntVar(&f.readyPort, "envoy-ready-bind-port", 0, "Port of that listener.")
	fs.BoolVar(&f.bootstrap, "bootstrap", false, "Print the bootstrap configuration as JSON instead of starting Envoy.")
	fs.BoolVar(&f.noCentral, "no-central-config", false, "Do not merge proxy-defaults and service-defaults into the proxy's options.")
	fs.StringVar(&f.grpc.addr, "grpc-addr", "", "Address of the agent's xDS; by default where the agent says. Also LICTOR_GRPC_ADDR or CONSUL_GRPC_ADDR.")
	fs.StringVar(&f.grpc.caFile, "grpc-ca-file", "", "PEM file of the CA of the agent's xDS certificate; asks for TLS. Also LICTOR_GRPC_CACERT or CONSUL_GRPC_CACERT.")
	fs.StringVar(&f.grpc.caPath, "grpc-ca-path", "", "Directory of such CAs. Also LICTOR_GRPC_CAPATH or CONSUL_GRPC_CAPATH.")
	fs.BoolVar(&f.omitDeprecatedTags, "omit-deprecated-tags", false, "Leave out the older names of statistics' tags.")
	fs.StringVar(&f.promBackend, "prometheus-backend-port", "", "Port that serves metrics in place of Envoy's admin pages.")
	fs.StringVar(&f.promPath, "prometheus-scrape-path", "/metrics", "Path at which envoy_prometheus_bind_addr serves metrics.")
	for i, name := range []string{"prometheus-ca-file", "prometheus-ca-path", "prometheus-cert-file", "prometheus-key-file"} {
		fs.StringVar(&f.promFiles[i], name, "", "For TLS on envoy_prometheus_bind_addr.")
	}
	fs.Bool("ignore-envoy-compatibility", true, "Accepted for compatibility; the version of Envoy is not looked at.")
	fs.Bool("enable-config-gen-logging", false, "Accepted for compatibility; nothing is logged.")
}

func (f *envoyFlags) run(cl *client, args []string) error {
	if f.sidecarFor == "" && f.proxyID == "" && f.gateway.kind == "" {
		f.sidecarFor, f.proxyID = cl.sh.getenv("CONNECT_SIDECAR_FOR"), cl.sh.getenv("CONNECT_PROXY_ID")
	}
	if f.grpc.addr == "" {
		f.grpc.addr = cl.sh.env("GRPC_ADDR")
	}
	for _, file := range f.promFiles {
		if file != "" {
			return withHint(errors.New("Error: TLS on envoy_prometheus_bind_addr is not supported"), "serve metrics on a loopback address, and let a TLS proxy publish them")
		}
	}
	if err := cl.connect(); err != nil {
		return err
	}
	id, err := f.proxy(cl)
	if err != nil {
		return err
	}
	conf, err := f.config(cl, id)
	if err != nil {
		return err
	}
	text, err := xds.Bootstrap(conf)
	if err != nil {
		return err
	}
	if f.bootstrap {
		fmt.Fprintln(cl.sh.stdout, string(text))
		return nil
	}
	binary, err := exec.LookPath(cmp.Or(f.binary, "envoy"))
	if err != nil {
		return withHint(fmt.Errorf("Couldn't find envoy binary: %w", err), "install Envoy, name it with -envoy-binary, or use the native proxy: %q",
			cl.sh.program+" connect proxy -proxy-id="+id)
	}
	return becomeEnvoy(binary, text, args)
}

// proxy returns the ID of the proxy that the flags mean.
func (f *envoyFlags) proxy(cl *client) (string, error) {
	switch {
	case f.proxyID != "":
		return f.proxyID, nil
	case f.sidecarFor != "":
		found, err := findSidecar(cl, f.sidecarFor)
		if err != nil {
			return "", err
		}
		if found.id == "" {
			return "", withHint(fmt.Errorf("No sidecar proxy registered for %s", f.sidecarFor),
				"register service ID %q with connect { sidecar_service {} } at the agent that is asked", f.sidecarFor)
		}
		return string(found.id), nil
	case f.gateway.kind != "":
		return f.gateway.proxy(cl)
	}
	return "", errors.New("No proxy ID specified. One of -proxy-id, -sidecar-for, or -gateway is required")
}

// config gathers what the bootstrap is made of.
func (f *envoyFlags) config(cl *client, id string) (xds.BootstrapConfig, error) {
	self, err := cl.Agent().Self()
	if err != nil {
		return xds.BootstrapConfig{}, cl.fail("Error querying agent", err)
	}
	service, _, err := cl.Agent().Service(id, &api.QueryOptions{MergeCentralConfig: !f.noCentral})
	if err != nil {
		return xds.BootstrapConfig{}, cl.fail(fmt.Sprintf("Failed looking up proxy %s", id), err)
	}
	conf := xds.BootstrapConfig{Proxy: model.ServiceID(id), Service: model.ServiceName(service.Service), Node: model.NodeName(f.nodeName),
		Token: model.NewSecret(cl.conf.Token), AdminAccessLog: f.adminAccessLog, OmitDeprecatedTags: f.omitDeprecatedTags,
		PrometheusPath: f.promPath, ReadyAddress: cmp.Or(f.readyAddr, f.gateway.readyAddr), ReadyPort: cmp.Or(f.readyPort, f.gateway.readyPort)}
	conf.Datacenter, _ = self["Config"]["Datacenter"].(string)
	if service.Proxy != nil {
		conf.Service = model.ServiceName(cmp.Or(service.Proxy.DestinationServiceName, service.Service))
		conf.Config = service.Proxy.Config
	}
	if conf.AdminAddress, conf.AdminPort, err = resolveAddr(f.adminBind); err != nil {
		return conf, fmt.Errorf("Invalid admin bind address: %w", err)
	}
	if f.promBackend != "" {
		if _, conf.PrometheusBackend, err = splitAddr(":" + f.promBackend); err != nil {
			return conf, fmt.Errorf("-prometheus-backend-port=%s: %w", f.promBackend, err)
		}
	}
	return conf, f.agentOf(cl, &conf)
}

// agentOf fills in how Envoy reaches the agent.
func (f *envoyFlags) agentOf(cl *client, conf *xds.BootstrapConfig) error {
	target, err := f.grpc.resolve(cl)
	if err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(target.addr, "unix://"); ok {
		conf.AgentSocket = path
		return nil
	}
	if conf.AgentAddress, conf.AgentPort, err = resolveAddr(target.addr); err != nil {
		return fmt.Errorf("Invalid xDS address %s: %w", target.addr, err)
	}
	if conf.AgentTLS = target.tls != nil; !conf.AgentTLS {
		return nil
	}
	conf.AgentCA, err = readCAs(cl.first(f.grpc.caFile, "GRPC_CACERT"), cl.first(f.grpc.caPath, "GRPC_CAPATH"))
	return err
}

// readCAs returns the PEM text of a file, or of all files of a directory.
func readCAs(file, dir string) (string, error) {
	files := []string{file}
	if file == "" {
		if dir == "" {
			return "", withHint(errors.New("the agent serves xDS over TLS only"), "name its CA with -grpc-ca-file")
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		files = files[:0]
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, dir+string(os.PathSeparator)+e.Name())
			}
		}
		slices.Sort(files)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		all.WriteString(strings.TrimRight(string(text), "\n") + "\n")
	}
	return all.String(), nil
}
