package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/examples/app"
	"github.com/lictor-mesh/lictor/examples/demo"
	"github.com/lictor-mesh/lictor/model/fault"
)

// demoFlags are the flags of "demo".
type demoFlags struct {
	check, freePorts bool
	dir              string
}

func demoCommand(sh *shell) *command {
	c := newCommand(sh, "demo", "[options]", "Run the demo mesh on loopback")
	c.text = `Runs a mesh on loopback: an agent that is also the server, web, api and two instances of db, each with its sidecar as its own ` +
		`process. It says what runs where and what to try, until Ctrl-C ends all of it.

With -check it lives through the scenario by itself, on free ports, says each step as it passes, and exits with 0 or 1.`
	c.example = "demo -check"
	f := new(demoFlags)
	c.flags.BoolVar(&f.check, "check", false, "Live through the scenario and exit.")
	c.flags.BoolVar(&f.freePorts, "free-ports", false, "Take free ports instead of the usual ones; -check always does.")
	c.flags.StringVar(&f.dir, "data-dir", "", "Keep the agent's data and all logs in this directory.")
	c.run = func(args []string) error { return f.run(c, args) }
	return c
}

func (f *demoFlags) run(c *command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.BadRequest, "unexpected argument %q", args[0])
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	o := demo.Options{Binary: binary, Dir: f.dir, Layout: demo.StandardLayout()}
	if f.check || f.freePorts {
		if o.Layout, err = demo.FreeLayout(); err != nil {
			return err
		}
	}
	ctx, stop := demoSignals()
	defer stop()
	say := func(format string, args ...any) { fmt.Fprintf(c.sh.stdout, format+"\n", args...) }
	if !f.check {
		return demo.Run(ctx, o, say)
	}
	if err := demo.Check(ctx, o, say); err != nil {
		return err
	}
	say("all steps passed")
	return nil
}

// demoSignals returns a context that ends when the demo is asked to end, by the end of its terminal too.
func demoSignals() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// A reader of stdout that is gone (Ctrl-C ends `tee` too) must not kill the demo before it has ended its children.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return ctx, func() { stop(); signal.Stop(broken) }
}

// demoServiceFlags are the flags of "demo service".
type demoServiceFlags struct{ listen, name, upstream string }

func demoService(sh *shell) *command {
	c := newCommand(sh, "demo service", "[options] web|api|db", "Run one of the demo's services")
	c.text = `Runs one of the three small services of the demo mesh. None of them knows about the mesh: web and api dial -upstream, where ` +
		`their sidecar listens.`
	c.example = "demo service -listen=127.0.0.1:9003 -name=db-1 db"
	f := new(demoServiceFlags)
	c.flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "Address (host:port) to listen on.")
	c.flags.StringVar(&f.name, "name", "db-1", "What an instance of db calls itself.")
	c.flags.StringVar(&f.upstream, "upstream", "", "Address (host:port) of the upstream.")
	c.run = func(args []string) error { return f.run(args) }
	return c
}

func (f *demoServiceFlags) run(args []string) error {
	if len(args) != 1 {
		return fault.New(fault.BadRequest, "name one service: web, api or db")
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := hclog.New(&hclog.LoggerOptions{Name: args[0], Output: os.Stdout})
	switch args[0] {
	case "web":
		return app.Web(ctx, l, f.upstream, log)
	case "api":
		return app.API(ctx, l, f.upstream, log)
	case "db":
		return app.NewDB(f.name, log).Serve(ctx, l)
	default:
		return fault.New(fault.BadRequest, "%q is not one of the demo's services: web, api or db", args[0])
	}
}

// probeFlags are the flags of "demo probe".
type probeFlags struct {
	expect  string
	timeout time.Duration
}

// demoProbe is what health checks of images without a shell run.
func demoProbe(sh *shell) *command {
	c := newCommand(sh, "demo probe", "[options] URL", "Ask a URL, for health checks of containers without a shell")
	c.text = `Sends one GET request and exits with 0 when the answer is 200 and holds the expected text, else with 1 and a line that says why.`
	c.example = "demo probe http://127.0.0.1:8500/v1/status/leader"
	f := new(probeFlags)
	c.flags.StringVar(&f.expect, "expect", "", "Text that the answer must hold.")
	c.flags.DurationVar(&f.timeout, "timeout", 2*time.Second, "How long the answer may take.")
	c.run = func(args []string) error { return f.run(c, args) }
	return c
}

func (f *probeFlags) run(c *command, args []string) error {
	if len(args) != 1 {
		return fault.New(fault.BadRequest, "name one URL")
	}
	client := &http.Client{Timeout: f.timeout}
	resp, err := client.Get(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), f.expect) {
		return fmt.Errorf("%s answered %s: %s", args[0], resp.Status, strings.TrimSpace(string(body)))
	}
	fmt.Fprintln(c.sh.stdout, strings.TrimSpace(string(body)))
	return nil
}
