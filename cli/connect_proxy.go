package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

// defaultDrain is how long open connections may take to end by themselves.
const defaultDrain = 30 * time.Second

// proxyFlags are the flags of "connect proxy".
type proxyFlags struct {
	sidecarFor, proxyID          string
	service, serviceAddr, listen string
	upstreams                    upstreamList
	register                     bool
	registerID                   string
	logLevel                     string
	logJSON                      bool
	pprofAddr, adminAddr         string
	drain                        time.Duration
	grpc                         grpcTarget
}

func connectProxy(sh *shell) *command {
	c := newCommand(sh, "connect proxy", "[options]", "Run the sidecar proxy of a service")
	c.rest = true
	c.text = `Runs the native proxy of the service mesh. With -sidecar-for or -proxy-id it is the sidecar that is registered with the ` +
		`agent, and takes its configuration from there; it waits where agent or registration are late, and goes on with the last ` +
		`known state where the agent is away. With -service it stands alone, with what the flags say.

SIGTERM and SIGINT drain it: it leaves the healthy set, goes on until its callers have moved on, waits for open connections, ` +
		`and exits with 0. A second signal ends it at once, with 1.

With "-- CMD ARGS" it starts CMD once it is ready, passes signals on (SIGTERM and SIGINT after draining), and ends with it and its ` +
		`exit code.`
	c.example = "connect proxy -sidecar-for=web"
	cl := c.client()
	cl.serverFlags(c)
	f := new(proxyFlags)
	f.declare(c)
	c.run = func(argv []string) error { return f.run(c, cl, argv) }
	return c
}

func (f *proxyFlags) declare(c *command) {
	fs := c.flags
	fs.StringVar(&f.sidecarFor, "sidecar-for", "", "ID of the service whose registered sidecar this is. Also CONNECT_SIDECAR_FOR.")
	fs.StringVar(&f.proxyID, "proxy-id", "", "ID of the registered proxy that this is. Also CONNECT_PROXY_ID.")
	fs.StringVar(&f.service, "service", "", "Name of the service that a stand-alone proxy represents.")
	fs.StringVar(&f.serviceAddr, "service-addr", "", "Address (host:port) of the local application, with -listen.")
	fs.StringVar(&f.listen, "listen", "", "Address (host:port) of a stand-alone proxy's public listener; without it, it has none.")
	fs.Var(&f.upstreams, "upstream", "Upstream of a stand-alone proxy, as name:port or name:host:port to listen on; may be repeated.")
	fs.BoolVar(&f.register, "register", false, "Register the stand-alone proxy with the agent for as long as it runs. Needs -listen.")
	fs.StringVar(&f.registerID, "register-id", "", "ID to register as; NAME-proxy by default.")
	fs.StringVar(&f.logLevel, "log-level", "INFO", "Log level: TRACE, DEBUG, INFO, WARN or ERROR.")
	fs.BoolVar(&f.logJSON, "log-json", false, "Write the log as JSON.")
	fs.StringVar(&f.pprofAddr, "pprof-addr", "", "Serve Go profiles at this host:port.")
	fs.StringVar(&f.adminAddr, "admin-addr", "", "Serve /ready, /metrics, /drain and /connections at this host:port.")
	fs.DurationVar(&f.drain, "drain-timeout", defaultDrain, "How long open connections may take to end when the proxy is told to stop.")
	fs.StringVar(&f.grpc.addr, "grpc-addr", "", "Address of the agent's xDS; by default where the agent says. Also LICTOR_GRPC_ADDR or CONSUL_GRPC_ADDR.")
	fs.StringVar(&f.grpc.caFile, "grpc-ca-file", "", "PEM file of the CA of the agent's xDS certificate; asks for TLS. Also LICTOR_GRPC_CACERT or CONSUL_GRPC_CACERT.")
}

// run prepares the proxy and lives its life.
func (f *proxyFlags) run(c *command, cl *client, argv []string) error {
	fmt.Fprintln(c.sh.stdout, "==> Consul Connect proxy starting...")
	f.complete(c.sh)
	if err := f.check(); err != nil {
		return preparing(err)
	}
	log, err := f.logger(c.sh)
	if err != nil {
		return preparing(err)
	}
	if err := cl.connect(); err != nil {
		return preparing(err)
	}
	// Two slots: a second signal must not be lost while the first is being answered.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, append(forwarded(), os.Interrupt, syscall.SIGTERM)...)
	defer signal.Stop(signals)
	if f.pprofAddr != "" {
		stop, err := servePprof(f.pprofAddr)
		if err != nil {
			return preparing(err)
		}
		defer stop()
	}
	registry := prometheus.NewRegistry()
	e, err := f.engine(cl, log, registry)
	if err != nil {
		return preparing(err)
	}
	f.banner(c.sh)
	l := &life{sh: c.sh, log: log, engine: e, argv: argv, drain: f.drain, signals: signals}
	return l.run(context.Background())
}

// complete takes from the environment what flags did not say. A -service on the command line is not overruled by it.
func (f *proxyFlags) complete(sh *shell) {
	if f.sidecarFor == "" && f.proxyID == "" && f.service == "" {
		f.sidecarFor, f.proxyID = sh.getenv("CONNECT_SIDECAR_FOR"), sh.getenv("CONNECT_PROXY_ID")
	}
	if f.grpc.addr == "" {
		f.grpc.addr = sh.env("GRPC_ADDR")
	}
}

func preparing(err error) error { return fmt.Errorf("==> Error preparing configuration: %w", err) }

// check refuses flags that do not go together, each with the flag to change.
func (f *proxyFlags) check() error {
	registered := f.sidecarFor != "" || f.proxyID != ""
	switch {
	case !registered && f.service == "":
		return withHint(errors.New("-service or -proxy-id must be specified so that proxy can configure itself."),
			"-sidecar-for=ID runs the sidecar that is registered for the service instance ID")
	case registered && f.service != "":
		return withHint(errors.New("-service does not go with -sidecar-for and -proxy-id"),
			"a sidecar takes its service from its registration; -service makes a stand-alone proxy")
	case registered:
		return nil
	case f.register && f.listen == "":
		return errors.New("-register needs -listen: a proxy without a public listener has nothing to register")
	case f.listen != "" && f.serviceAddr == "":
		return errors.New("-listen needs -service-addr, the address of the local application")
	case f.serviceAddr != "" && f.listen == "":
		return errors.New("-service-addr needs -listen, the address of the public listener")
	}
	for name, addr := range map[string]string{"-listen": f.listen, "-service-addr": f.serviceAddr} {
		if _, _, err := splitAddr(addr); addr != "" && err != nil {
			return fmt.Errorf("%s=%s: %w", name, addr, err)
		}
	}
	return nil
}

func (f *proxyFlags) logger(sh *shell) (hclog.Logger, error) {
	level := hclog.LevelFromString(f.logLevel)
	if level == hclog.NoLevel {
		return nil, withHint(fmt.Errorf("-log-level=%s is not a log level", f.logLevel), "use TRACE, DEBUG, INFO, WARN or ERROR")
	}
	// The log goes to stderr: stdout belongs to the command that runs beside the proxy.
	return hclog.New(&hclog.LoggerOptions{Level: level, JSONFormat: f.logJSON, Output: sh.stderr}), nil
}

func (f *proxyFlags) banner(sh *shell) {
	if f.logJSON {
		return
	}
	rows := [][]string{{"    Configuration mode:", "Agent API"}}
	switch {
	case f.sidecarFor != "":
		rows = append(rows, []string{"        Sidecar for ID:", f.sidecarFor})
	case f.proxyID != "":
		rows = append(rows, []string{"              Proxy ID:", f.proxyID})
	default:
		rows[0][1] = "Flags"
		rows = append(rows, []string{"               Service:", f.service})
		if f.listen != "" {
			rows = append(rows, []string{"       Public listener:", f.listen + " => " + f.serviceAddr})
		}
		for _, u := range f.upstreams {
			rows = append(rows, []string{"              Upstream:", u.name + " => " + u.addr})
		}
	}
	if f.adminAddr != "" {
		rows = append(rows, []string{"                 Admin:", "http://" + f.adminAddr})
	}
	fmt.Fprintf(sh.stdout, "%s\n\n==> Log data will now stream in as it occurs:\n\n", columns(rows))
}

// servePprof serves Go's profiles until stop is called.
func servePprof(addr string) (stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, withHint(fmt.Errorf("-pprof-addr=%s: %w", addr, err), "name another host:port that is free")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }() // ends by stop
	return func() { _ = server.Close() }, nil
}

// upstreamFlag is one -upstream: the name of a service and the address to offer it at.
type upstreamFlag struct {
	name, addr string
}

// upstreamList is the repeatable flag -upstream.
type upstreamList []upstreamFlag

func (l *upstreamList) String() string {
	var out []string
	for _, u := range *l {
		out = append(out, u.name+":"+u.addr)
	}
	return strings.Join(out, ",")
}

func (l *upstreamList) Set(s string) error {
	name, addr, ok := strings.Cut(s, ":")
	if !ok || name == "" || addr == "" {
		return fmt.Errorf("Upstream value should be name:addr in %q", s)
	}
	if !strings.Contains(addr, ":") {
		addr = "127.0.0.1:" + addr
	}
	host, port, err := splitAddr(addr)
	if err != nil {
		return fmt.Errorf("Upstream value should be name:addr in %q: %w", s, err)
	}
	*l = append(*l, upstreamFlag{name, joinPort(host, port)})
	return nil
}

// splitAddr takes host:port apart; an empty host is loopback.
func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, errors.New("want host:port")
	}
	if port, err = net.LookupPort("tcp", text); err != nil || port < 1 {
		return "", 0, fmt.Errorf("%q is no port", text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return host, port, nil
}
