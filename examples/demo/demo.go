package demo

import (
	"context"
	"strings"
)

// Run starts the mesh, tells what runs where and what to try, and keeps it until ctx ends. It then ends every
// process that it started.
func Run(ctx context.Context, o Options, say func(format string, args ...any)) error {
	m, err := Start(ctx, o, say)
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
		"curl " + web,
		prefix + "bin/lictor intention create -deny web api   # then curl again; delete it with: bin/lictor intention delete web api",
		prefix + "bin/lictor catalog services -tags",
		"dig @127.0.0.1 -p " + strings.TrimPrefix(loopback(m.layout.DNS), "127.0.0.1:") + " db.service.consul SRV",
		"curl -s http://" + loopback(m.layout.Admin[3]) + "/metrics | grep lictor",
	} {
		say("  %s", line)
	}
	say("")
	say("Ctrl-C ends it.")
	<-ctx.Done()
	say("ending every process")
	return nil
}
