package cli

import (
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/proxy"
)

// engine makes the proxy that the flags describe. The client is connected.
func (f *proxyFlags) engine(cl *client, log hclog.Logger, registry *prometheus.Registry) (engine, error) {
	conf := proxy.Config{
		AdminAddr: f.adminAddr,
		Logger:    log,
		Registry:  registry,
		Timing:    proxy.Timing{Drain: f.drain},
	}
	if f.sidecarFor == "" && f.proxyID == "" {
		return f.standAlone(cl, conf)
	}
	who := &registered{want: fmt.Sprintf("a sidecar of the service ID %q", f.sidecarFor),
		find: func() (sidecar, error) { return findSidecar(cl, f.sidecarFor) }}
	if f.sidecarFor == "" {
		who.want = fmt.Sprintf("the proxy ID %q", f.proxyID)
		who.find = func() (sidecar, error) { return findProxy(cl, f.proxyID) }
	}
	// The first look decides on what only the user can mend; all else is waited for.
	if _, err := who.look(); isAmbiguous(err) {
		return nil, err
	}
	conf.Service = who.known().service
	if conf.Service == "" {
		conf.Service = model.ServiceName(f.sidecarFor) // what logs and counters say until a restart
	}
	conf.Source = &agentSource{cl: cl, who: who, grpc: f.grpc, log: log, registry: registry}
	conf.Lease = &drainLease{cl: cl, who: who, log: log}
	return proxy.New(conf)
}
