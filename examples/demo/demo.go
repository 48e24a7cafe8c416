package demo

import (
	"context"
	"errors"
)

// Run starts the mesh, tells what runs where and what to try, and keeps it until ctx ends. It then ends every
// process that it started.
func Run(ctx context.Context, o Options, say func(format string, args ...any)) error {
	m, err := Start(ctx, o, say)
	if errors.Is(err, errInterrupted) {
		say("interrupted; every process has ended")
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Stop()
	prefix := ""
	if m.layout.HTTP != StandardLayout().HTTP {
		prefix = "LICTOR_HTTP_ADDR=" + loopback(m.layout.HTTP) + " "
	}
	web := "http://" + loopback(m.layout.Web) + "/"
	say("logs and data: %s", m.dir)
	say("")
	say("web -> api -> db runs at %s. Things to try in another terminal:", web)
	for _, line := range []string{
		"bin/lictor demo probe " + web + "   # or curl; who called whom",
		prefix + "bin/lictor intention create -deny web api   # probe again; heal with: bin/lictor intention delete web api",
		prefix + "bin/lictor catalog nodes -service=db",
		prefix + "bin/lictor catalog services -tags",
		"bin/lictor demo probe http://" + loopback(m.layout.Admin[apiAt]) + "/metrics | grep lictor_proxy_denied_total   # after the denial: whom api's sidecar refused, and why",
	} {
		say("  %s", line)
	}
	say("")
	say("DNS answers too: dig @127.0.0.1 -p %d db.service.consul SRV. Ctrl-C ends it all.", m.layout.DNS)
	for {
		select {
		case <-ctx.Done():
			say("ending every process")
			return nil
		case p := <-m.deaths:
			say("%s %s; its log: %s", p.name, p.how(), p.log)
		}
	}
}
