package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent"
	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/version"
)

// leaveWait bounds a graceful leave that a signal asked for.
const leaveWait = 15 * time.Second

func agentCommand(sh *shell) *command {
	c := newCommand(sh, "agent", "[options]", "Run an agent")
	c.text = `Runs an agent in the foreground: the process on each host that knows its services, runs their checks, and answers HTTP, DNS ` +
		`and xDS. With -server it is also one of the servers that hold the cluster's state; with -dev it is a whole cluster in memory, ` +
		`to try things out.

SIGHUP reads the configuration files again. SIGINT leaves the cluster first, unless skip_leave_on_interrupt is set; SIGTERM does so ` +
		`only with leave_on_terminate. A second signal ends it at once.

Options have the names and meanings of the keys in configuration files, and win over them.`
	c.example = "agent -dev"
	given := new(config.Flags)
	given.Bind(c.flags)
	describeOptions(c.flags)
	c.run = func(args []string) error {
		r := &agentRun{sh: sh, started: time.Now(), from: config.System(given)}
		r.from.Env = sh.getenv
		return r.run(args)
	}
	return c
}

// describeOptions completes the help of the agent's flags with what else the table of options knows.
func describeOptions(fs *flag.FlagSet) {
	for _, o := range config.Options() {
		f := fs.Lookup(o.Flag)
		if o.Flag == "" || f == nil {
			continue
		}
		var words []string
		if f.Usage != "" {
			words = append(words, strings.TrimRight(f.Usage, ".")+".")
		}
		if o.Default != "" && o.Default != "false" {
			words = append(words, "Default "+o.Default+".")
		}
		if o.Replacement != "" {
			words = append(words, "Deprecated: use "+o.Replacement+".")
		}
		switch o.Effect {
		case config.Pending:
			words = append(words, "No effect yet.")
		case config.Moot:
			words = append(words, "Always so.")
		case config.Enterprise:
			words = []string{"Accepted for compatibility; means something to Consul Enterprise only."}
		}
		f.Usage = strings.Join(words, " ")
	}
}

// agentRun is one run of an agent, from its configuration to the exit code.
type agentRun struct {
	sh      *shell
	from    config.Sources
	started time.Time
	log     hclog.Logger
}

func (r *agentRun) run(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("==> Unexpected extra arguments: %v", args)
	}
	load := func() (*config.Config, []string, error) { return config.Load(r.from) }
	conf, warnings, err := load()
	if err != nil {
		return fmt.Errorf("==> %w", err)
	}
	out, closeLog, err := logOutput(r.sh.stdout, conf.Log)
	if err != nil {
		return fmt.Errorf("==> %w", err)
	}
	defer closeLog()
	private()
	// What is logged while the agent is built stands behind the banner.
	gate := &gatedWriter{out: out}
	defer gate.open()
	r.log = hclog.New(&hclog.LoggerOptions{Name: "agent", Level: hclog.LevelFromString(conf.Log.Level), JSONFormat: conf.Log.JSON, Output: gate})
	// Nobody reads a log any longer whose pipe is closed: not a reason to end.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, reloadSignals(os.Interrupt, syscall.SIGTERM)...)
	defer signal.Stop(signals)
	a, err := agent.New(conf, agent.Options{Logger: r.log, Load: load, Started: r.started})
	if err != nil {
		return fmt.Errorf("==> Error starting agent: %w", err)
	}
	if !conf.Log.JSON {
		fmt.Fprint(r.sh.stdout, agentBanner(conf, a.NodeID()))
	}
	gate.open()
	for _, w := range warnings {
		r.log.Warn(w)
	}
	if len(conf.NoEffect) > 0 {
		r.log.Warn("these options are set and have no effect yet", "options", conf.NoEffect)
	}
	r.log.Info("Consul agent running!")
	return r.serve(conf, a, signals)
}

// serve runs the agent and answers signals, until one ends it or it leaves by itself.
func (r *agentRun) serve(conf *config.Config, a *agent.Agent, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("==> Error running agent: %w", err)
			}
			return nil // it was told to leave over HTTP
		case sig := <-signals:
			r.log.Info("Caught", "signal", sig)
			switch {
			case sig == syscall.SIGHUP:
				// The agent logs what came of it.
				_, _ = a.Reload()
			case leaves(conf, sig):
				return r.leave(a, ended, signals)
			default:
				cancel()
				return r.stop(ended, signals)
			}
		}
	}
}

// leaves tells whether sig asks for a graceful leave.
func leaves(conf *config.Config, sig os.Signal) bool {
	if sig == os.Interrupt {
		return !conf.SkipLeaveOnInterrupt
	}
	return conf.LeaveOnTerminate
}

// leave takes the agent out of the cluster. Only a leave that was completed exits with 0.
func (r *agentRun) leave(a *agent.Agent, ended <-chan error, signals <-chan os.Signal) error {
	r.log.Info("Gracefully shutting down agent...")
	a.Leave()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("==> Error leaving: %w", err)
		}
		r.log.Info("Graceful leave complete")
		return nil
	case <-signals:
		return &exit{code: exitFailure, text: "==> Second signal, not waiting for the leave to complete"}
	case <-time.After(leaveWait):
		return &exit{code: exitFailure, text: fmt.Sprintf("==> The leave did not complete in %v", leaveWait)}
	}
}

// stop waits for the agent to have closed what it had open. Whoever did not leave exits with 1, as recorded.
func (r *agentRun) stop(ended <-chan error, signals <-chan os.Signal) error {
	select {
	case err := <-ended:
		if err != nil {
			r.log.Error("the agent ended with an error", "error", err)
		}
		return &exit{code: exitFailure}
	case <-signals:
		return &exit{code: exitFailure, text: "==> Second signal, not waiting for the agent to close"}
	}
}

// agentBanner is what the agent says of itself before its log begins.
func agentBanner(c *config.Config, id model.NodeID) string {
	kind := "<all>"
	if !c.Server {
		kind = ""
	}
	// Nothing listens for TLS yet, whatever the ports say.
	const notServed = -1
	lines := [][2]string{
		{"Version", fmt.Sprintf("'%s'", version.Compat)},
		{"Lictor", fmt.Sprintf("'%s'", version.Own())},
		{"Build Date", fmt.Sprintf("'%s'", version.BuildDate())},
		{"Node ID", fmt.Sprintf("'%s'", id)},
		{"Node name", fmt.Sprintf("'%s'", c.NodeName)},
		{"Datacenter", fmt.Sprintf("'%s' (Segment: '%s')", c.Datacenter, kind)},
		{"Server", fmt.Sprintf("%v (Bootstrap: %v)", c.Server, c.Bootstrap)},
		{"Client Addr", fmt.Sprintf("%v (HTTP: %d, HTTPS: %d, gRPC: %d, gRPC-TLS: %d, DNS: %d)", c.ClientAddrs,
			c.Ports.HTTP, notServed, c.Ports.GRPC, notServed, c.Ports.DNS)},
		{"Cluster Addr", fmt.Sprintf("%v (LAN: %d, WAN: %d)", c.AdvertiseAddr, c.Ports.SerfLAN, c.Ports.SerfWAN)},
		{"Gossip Encryption", fmt.Sprint(!c.EncryptKey.IsZero())},
		{"Auto-Encrypt-TLS", "false"},
		{"ACL Enabled", fmt.Sprint(c.ACL.Enabled)},
		{"ACL Default Policy", c.ACL.DefaultPolicy},
	}
	var b strings.Builder
	b.WriteString("==> Starting Consul agent...\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "%19s: %s\n", l[0], l[1])
	}
	b.WriteString("\n==> Log data will now stream in as it occurs:\n\n")
	return b.String()
}
