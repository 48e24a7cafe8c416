package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/proxy/ads"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// registered is the proxy that this process is for. It becomes known when agent and registration are there.
type registered struct {
	find func() (sidecar, error) // a zero sidecar is not registered yet
	want string                  // what find looks for, in words

	mu    sync.Mutex
	found sidecar
}

// look asks the agent once. waiting is what is missing, "" when the proxy is known.
func (r *registered) look() (waiting string, err error) {
	if r.known().id != "" {
		return "", nil
	}
	s, err := r.find()
	switch {
	case err != nil:
		return err.Error(), err
	case s.id == "":
		return r.want + " is not registered with the agent yet", nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = s
	return "", nil
}

func (r *registered) known() sidecar {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found
}

// agentSource is the source of a registered proxy: it waits for agent and registration, and is an ADS client from then
// on. It implements resource.Source.
type agentSource struct {
	cl       *client
	who      *registered
	grpc     grpcTarget
	log      hclog.Logger
	registry prometheus.Registerer
}

// Run implements resource.Source.
func (s *agentSource) Run(ctx context.Context, sink resource.Sink) {
	var conf ads.Config
	err := untilReady(ctx, s.log, func() (string, error) {
		waiting, _ := s.who.look()
		if waiting == "" {
			var err error
			if conf, err = s.config(); err != nil {
				waiting = err.Error()
			}
		}
		sink.Report(waiting)
		return waiting, nil
	})
	if err != nil {
		return // ctx ended
	}
	client, err := ads.New(conf)
	if err != nil {
		sink.Report(err.Error())
		s.log.Error("cannot ask the control plane", "error", err)
		<-ctx.Done()
		return
	}
	client.Run(ctx, sink)
}

func (s *agentSource) config() (ads.Config, error) {
	target, err := s.grpc.resolve(s.cl)
	if err != nil {
		return ads.Config{}, err
	}
	who := s.who.known()
	return ads.Config{Addr: target.addr, TLS: target.tls, Token: model.NewSecret(s.cl.conf.Token), ProxyID: who.id, Service: who.service,
		Metadata: map[string]any{"namespace": "default", "partition": "default"}, Logger: s.log, Registry: s.registry}, nil
}

// grpcTarget says where xDS is served: as flags and environment name it, or where the agent says.
type grpcTarget struct {
	addr, caFile, caPath string
}

// xdsTarget is an address to dial; tls is nil for plain text.
type xdsTarget struct {
	addr string
	tls  *tls.Config
}

// resolve decides on address and transport. Where the agent offers both, TLS is used when a CA to verify it by is
// named: without one the agent's certificate could not be verified, and its plain port listens on loopback.
func (g *grpcTarget) resolve(cl *client) (xdsTarget, error) {
	addr, secure := stripScheme(g.addr)
	caFile, caPath := cl.first(g.caFile, "GRPC_CACERT"), cl.first(g.caPath, "GRPC_CAPATH")
	withCA := caFile != "" || caPath != ""
	if addr == "" {
		ports, err := readXDSPorts(cl)
		if err != nil {
			return xdsTarget{}, err
		}
		switch {
		case ports.tls > 0 && (withCA || ports.plain == 0):
			addr, secure = joinPort(cl.agentHost(), ports.tls), true
		case ports.plain > 0:
			addr, secure = joinPort(cl.agentHost(), ports.plain), false
		default:
			return xdsTarget{}, withHint(errors.New("the agent serves no xDS"), "set ports.grpc of the agent (8502), or name another agent with -grpc-addr")
		}
	} else if withCA {
		secure = true
	}
	if !secure {
		return xdsTarget{addr: addr}, nil
	}
	conf, err := api.SetupTLSConfig(&api.TLSConfig{Address: addr, CAFile: caFile, CAPath: caPath})
	if err != nil {
		return xdsTarget{}, fmt.Errorf("CA of the agent's xDS: %w", err)
	}
	return xdsTarget{addr, conf}, nil
}
