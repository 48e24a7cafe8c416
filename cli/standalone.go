package cli

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/proxy"
	"github.com/lictor-mesh/lictor/proxy/resource"
	"github.com/lictor-mesh/lictor/xds"
)

// standAlone is the source of a proxy that the flags configure: it asks the agent's HTTP API for what an ADS server
// would know (certificates, intentions, endpoints) and makes the same resources of it. It implements resource.Source.
type standAlone struct {
	cl       *client
	log      hclog.Logger
	proxy    *model.Service
	inbound  bool
	upstream []upstreamFlag
}

// standAlone makes the proxy that -service and the flags with it describe.
func (f *proxyFlags) standAlone(cl *client, conf proxy.Config) (engine, error) {
	id := f.registerID
	if id == "" {
		id = f.service + "-proxy"
	}
	s := &standAlone{cl: cl, log: conf.Logger, inbound: f.listen != "", upstream: f.upstreams,
		proxy: &model.Service{Kind: model.KindConnectProxy, ID: model.ServiceID(id), Service: model.ServiceName(f.service + "-proxy"),
			Address: "127.0.0.1", Port: 1, // of the listener that is left out when there is no -listen
			Proxy: &model.Proxy{DestinationServiceName: model.ServiceName(f.service), LocalServiceAddress: "127.0.0.1", LocalServicePort: 1}}}
	if s.inbound {
		var err error
		if s.proxy.Address, s.proxy.Port, err = splitAddr(f.listen); err != nil {
			return nil, err
		}
		if s.proxy.Proxy.LocalServiceAddress, s.proxy.Proxy.LocalServicePort, err = splitAddr(f.serviceAddr); err != nil {
			return nil, err
		}
	}
	conf.Service, conf.Source = s.proxy.Proxy.DestinationServiceName, s
	if !f.register {
		return proxy.New(conf)
	}
	conf.Lease = &drainLease{cl: cl, log: conf.Logger, who: &registered{found: sidecar{s.proxy.ID, conf.Service}}}
	p, err := proxy.New(conf)
	if err != nil {
		return nil, err
	}
	return &registering{engine: p, cl: cl, log: conf.Logger, reg: registrationOf(s.proxy)}, nil
}

// Run implements resource.Source.
func (s *standAlone) Run(ctx context.Context, sink resource.Sink) {
	changes := make(chan change)
	known := newFacts()
	failing := make(map[string]string) // what is asked for: why the last answer failed
	s.watchAll(ctx, changes)
	sink.Report(known.missing(s))
	var last *xds.Resources
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-changes:
			if c.err != nil {
				failing[c.what] = reasonOf(c.err)
				sink.Report(failures(failing))
				continue
			}
			delete(failing, c.what)
			c.apply(known)
		}
		missing := known.missing(s)
		sink.Report(cmp.Or(failures(failing), missing))
		if missing != "" {
			continue
		}
		built, err := xds.Build(s.snapshot(known), last)
		if err != nil {
			sink.Report(err.Error())
			continue
		}
		last = built
		state, err := s.decode(built)
		if err != nil {
			sink.Report(err.Error())
			continue
		}
		sink.Apply(state)
	}
}

// reasonOf is why a question failed, without its address, so that one cause reads the same for all questions.
func reasonOf(err error) string {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return err.Error()
}

// failures is all that fails, in a stable order: each reason once, behind what failed for it. "" is nothing.
func failures(failing map[string]string) string {
	of := make(map[string][]string)
	for what, reason := range failing {
		of[reason] = append(of[reason], what)
	}
	lines := make([]string, 0, len(of))
	for _, reason := range slices.Sorted(maps.Keys(of)) {
		slices.Sort(of[reason])
		lines = append(lines, strings.Join(of[reason], ", ")+": "+reason)
	}
	return strings.Join(lines, "; ")
}

// snapshot puts together what xds makes resources of.
func (s *standAlone) snapshot(f *facts) *xds.Snapshot {
	snap := &xds.Snapshot{Proxy: s.proxy, Datacenter: f.datacenter, Roots: f.roots, Leaf: f.leaf,
		DefaultAllow: f.defaultAllow, Intentions: f.intentions}
	for _, u := range s.upstream {
		host, port, _ := splitAddr(u.addr) // checked when the flag was read
		up := xds.Upstream{As: f.upstreamOf(u, host, port)}
		endpoints, err := xds.NewEndpoints(snap.Target(&up), f.instances[u.name])
		if err != nil {
			s.log.Warn("endpoints are left out", "upstream", u.name, "error", err)
		} else {
			up.Endpoints = endpoints
		}
		snap.Upstreams = append(snap.Upstreams, up)
	}
	return snap
}

// facts is what the agent has said so far.
type facts struct {
	datacenter   string
	roots        *model.CARoots
	leaf         *model.LeafCert
	intentions   []*model.Intention
	allowed      bool // intentions and the default are known
	defaultAllow bool
	instances    map[string][]*model.Instance
	upstreams    map[string]*model.Upstream
}

func newFacts() *facts {
	return &facts{instances: make(map[string][]*model.Instance), upstreams: make(map[string]*model.Upstream)}
}

// upstreamOf returns the same object for the same flag: xds tells by it that nothing changed.
func (f *facts) upstreamOf(u upstreamFlag, host string, port int) *model.Upstream {
	if f.upstreams[u.addr] == nil {
		f.upstreams[u.addr] = &model.Upstream{DestinationType: model.UpstreamService, DestinationName: model.ServiceName(u.name),
			LocalBindAddress: host, LocalBindPort: port}
	}
	return f.upstreams[u.addr]
}

// missing says what the agent has not said yet, "" when all is known.
func (f *facts) missing(s *standAlone) string {
	switch {
	case f.datacenter == "":
		return "the agent's answer on itself"
	case f.roots == nil:
		return "the roots of the mesh"
	case f.leaf == nil:
		return "a certificate of " + string(s.proxy.Proxy.DestinationServiceName)
	case !f.allowed:
		return "the intentions of " + string(s.proxy.Proxy.DestinationServiceName)
	}
	for _, u := range s.upstream {
		if _, known := f.instances[u.name]; !known {
			return "the instances of " + u.name
		}
	}
	return ""
}

// registering is an engine that is registered with the agent for as long as it runs.
type registering struct {
	engine
	cl  *client
	log hclog.Logger
	reg *api.AgentServiceRegistration
}

// registerEvery is how often the registration is looked after: an agent may forget it with a restart.
const registerEvery = 10 * time.Second

// Run implements engine.
func (r *registering) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.keep(ctx)
	}()
	err := r.engine.Run(ctx)
	cancel()
	<-done
	if derr := r.cl.Agent().ServiceDeregister(r.reg.ID); derr != nil {
		r.log.Warn("cannot deregister", "id", r.reg.ID, "error", derr)
	}
	return err
}

// keep registers, and registers again where the agent no longer knows the proxy.
func (r *registering) keep(ctx context.Context) {
	for ctx.Err() == nil {
		err := untilReady(ctx, r.log, func() (string, error) {
			if err := r.cl.Agent().ServiceRegister(r.reg); err != nil {
				return "the agent to register " + r.reg.ID + ": " + err.Error(), nil
			}
			return "", nil
		})
		for err == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(registerEvery):
			}
			_, _, err = r.cl.Agent().Service(r.reg.ID, nil)
		}
	}
}

// registrationOf is how a stand-alone proxy is registered.
func registrationOf(p *model.Service) *api.AgentServiceRegistration {
	return &api.AgentServiceRegistration{
		Kind: api.ServiceKindConnectProxy, ID: string(p.ID), Name: string(p.Service), Address: p.Address, Port: p.Port,
		Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: string(p.Proxy.DestinationServiceName)},
		Check: &api.AgentServiceCheck{Name: "Connect Proxy Listening", TCP: joinPort(p.Address, p.Port), Interval: "10s", Status: api.HealthPassing},
	}
}
