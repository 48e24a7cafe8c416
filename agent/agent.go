package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/dns"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/agent/leaf"
	"github.com/lictor-mesh/lictor/agent/local"
	"github.com/lictor-mesh/lictor/agent/proxies"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/gossip"
	"github.com/lictor-mesh/lictor/internal/atomicfile"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/version"
	"github.com/lictor-mesh/lictor/xds"
)

// Options are what an agent needs beside its configuration.
type Options struct {
	Logger hclog.Logger
	// Load reads the configuration again for a reload: the new one and its warnings.
	Load func() (*config.Config, []string, error)
	// Started is when the process was started, for the log.
	Started time.Time
}

// Agent is one agent.
type Agent struct {
	options Options
	log     hclog.Logger
	dir     *dataDir
	nodeID  model.NodeID

	// mu guards config, which Reload replaces.
	mu     sync.Mutex
	config *config.Config

	metrics  *prometheus.Registry
	reads    *read.Set
	pool     *gossip.Pool
	plane    plane
	checks   *checks.Runner
	local    *local.State
	syncer   *local.Syncer
	leaves   *leaf.Keeper
	xds      *xds.Server
	mesh     *mesh
	dns      *dns.Server
	http     *httpapi.API
	sockets  *sockets
	leaving  chan struct{}
	leave    sync.Once
	shutdown []func()
}

// New builds an agent: it takes the data directory, binds all ports and reads what was registered. What
// fails is named in one line, and nothing is left running.
func New(c *config.Config, o Options) (*Agent, error) {
	a := &Agent{options: o, log: o.Logger, config: c, reads: read.New(), leaving: make(chan struct{})}
	if err := a.open(c); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// open builds all parts, in the order in which they need each other.
func (a *Agent) open(c *config.Config) (err error) {
	if list := c.Unenforced(); len(list) > 0 && !c.Lictor.AllowUnenforced {
		return fault.New(fault.Invalid, "%s: not enforced by this version, which would leave open what looks closed; "+
			"take the options out, or set lictor { allow_unenforced = true }", strings.Join(list, ", "))
	}
	if a.dir, err = openDataDir(c.DataDir); err != nil {
		return err
	}
	a.onClose(a.dir.close)
	if a.nodeID, err = a.dir.nodeID(c.NodeID); err != nil {
		return err
	}
	if err = a.writePidFile(); err != nil {
		return err
	}
	a.metrics = prometheus.NewRegistry()
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.sockets, err = a.listen(c); err != nil {
		return err
	}
	a.onClose(a.sockets.close)
	if a.pool, err = gossip.New(a.gossipConfig(c)); err != nil {
		return err
	}
	a.onClose(func() { _ = a.pool.Shutdown() })
	if a.plane, err = a.newPlane(c); err != nil {
		return err
	}
	if err = a.openLocal(c); err != nil {
		return err
	}
	a.openMesh(c)
	return a.openEdges(c)
}

func (a *Agent) onClose(f func()) { a.shutdown = append(a.shutdown, f) }

// close undoes New, last first.
func (a *Agent) close() {
	for i := len(a.shutdown) - 1; i >= 0; i-- {
		a.shutdown[i]()
	}
	a.shutdown = nil
}

func (a *Agent) writePidFile() error {
	path := a.config.PidFile
	if path == "" {
		return nil
	}
	if err := atomicfile.Write(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("pid_file %s cannot be written: %w", path, err)
	}
	a.onClose(func() { _ = os.Remove(path) })
	return nil
}

// openLocal opens what this host registered, and what keeps the catalog equal to it.
func (a *Agent) openLocal(c *config.Config) error {
	allowed, err := prefixes("lictor.check_allow_addresses", c.Lictor.CheckAllowAddresses)
	if err != nil {
		return err
	}
	a.checks = checks.NewRunner(&checks.Env{
		Log: a.log.Named("checks"), Node: c.NodeName, Remote: remoteChecks{a.plane, a.reads},
		Random:        func(n time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(max(n, 1)))) },
		OutputMaxSize: c.CheckOutputMaxSize, Allow: allowed, Scripts: c.EnableScriptChecks, LocalScripts: c.EnableLocalScriptChecks,
	})
	a.onClose(a.checks.Close)
	a.local, err = local.Open(local.Options{
		Log: a.log.Named("local"), Node: a.self(c), DataDir: c.DataDir, Checks: a.checks,
		SidecarMinPort: c.Ports.SidecarMin, SidecarMaxPort: c.Ports.SidecarMax, DiscardOutput: c.DiscardCheckOutput,
		DeregisterCriticalMin: c.CheckDeregisterIntervalMin, ReapInterval: c.CheckReapInterval,
	})
	if err != nil {
		return err
	}
	a.onClose(a.local.Close)
	if _, err := a.local.ReplaceConfig(pointers(c.Services), pointers(c.Checks)); err != nil {
		return err
	}
	a.syncer = local.NewSyncer(local.SyncerOptions{
		Log: a.log.Named("sync"), State: a.local, Catalog: catalog{a.plane, a.reads, c.NodeName},
		Interval: c.AEInterval, CheckUpdateInterval: c.CheckUpdateInterval, Members: a.pool.MemberCount,
	})
	return nil
}

func pointers[T any](list []T) []*T {
	out := make([]*T, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// self is this host's record in the catalog.
func (a *Agent) self(c *config.Config) *model.Node {
	meta := map[string]string{"consul-network-segment": "", "consul-version": version.Compat}
	for k, v := range c.NodeMeta {
		meta[k] = v
	}
	n := &model.Node{
		ID: a.nodeID, Node: c.NodeName, Address: c.AdvertiseAddr.String(), Datacenter: c.Datacenter,
		TaggedAddresses: c.TaggedAddresses, Meta: meta,
	}
	if c.Locality != (model.Locality{}) {
		l := c.Locality
		n.Locality = &l
	}
	return n
}

// openMesh opens this host's side of the mesh: certificates and xDS.
func (a *Agent) openMesh(c *config.Config) {
	a.leaves = leaf.New(leaf.Config{
		Datacenter: c.Datacenter, Authority: a.plane, Views: a.plane.Views(), Reads: a.reads, Logger: a.log.Named("leaf"),
	})
	a.onClose(a.leaves.Close)
	// Held from the start: a sidecar that comes while no server answers still gets its certificate verified.
	if roots, err := a.plane.Views().Watch(a.reads.CARoots.Query(view.None{})); err == nil {
		a.onClose(roots.Close)
	}
	a.mesh = &mesh{agent: a, wait: c.Lictor.DrainWait, log: a.log.Named("mesh")}
	a.xds = xds.NewServer(xds.Config{
		Source: a.mesh.follow(proxies.New(proxies.Config{
			Datacenter: c.Datacenter, DefaultAllow: defaultAllow(c), Registry: a.local, Views: a.plane.Views(), Reads: a.reads,
			Leaves: a.leaves, Logger: a.log.Named("proxies"),
		})),
		Logger: a.log.Named("xds"), Registerer: a.metrics,
	})
	a.onClose(a.xds.Close)
}

// defaultAllow tells what happens to a connection that no intention is about.
func defaultAllow(c *config.Config) bool {
	policy := c.DefaultIntentionPolicy
	if policy == "" && c.ACL.Enabled {
		policy = c.ACL.DefaultPolicy
	}
	return policy != "deny"
}

// openEdges builds what answers clients.
func (a *Agent) openEdges(c *config.Config) error {
	var err error
	a.dns, err = dns.New(dns.Config{
		Domain: c.DNS.Domain, AltDomain: c.DNS.AltDomain, Datacenter: c.Datacenter,
		NodeTTL: c.DNS.NodeTTL, ServiceTTL: c.DNS.ServiceTTL, OnlyPassing: c.DNS.OnlyPassing,
		ARecordLimit: c.DNS.ARecordLimit, UDPAnswerLimit: c.DNS.UDPAnswerLimit, EnableTruncate: c.DNS.EnableTruncate,
		DisableCompression: c.DNS.DisableCompression, OmitNodeMeta: !c.DNS.NodeMetaTXT,
		SOA:    dns.SOA{Refresh: uint32(c.DNS.SOA.Refresh), Retry: uint32(c.DNS.SOA.Retry), Expire: uint32(c.DNS.SOA.Expire), MinTTL: uint32(c.DNS.SOA.MinTTL)},
		Source: a.plane.Views(), Reads: a.reads, Logger: a.log.Named("dns"),
	})
	if err != nil {
		return err
	}
	a.http = httpapi.New(httpapi.Config{
		ControlPlane: a.plane, Agent: httpAgent{a}, Local: a.local, Mesh: a.mesh, Reads: a.reads,
		Log: a.log.Named("http"), Metrics: a.metrics, Gatherer: a.metrics,
		Node: c.NodeName, Datacenter: c.Datacenter, Indent: c.DevMode, DefaultAllow: c.ACL.DefaultPolicy != "deny" || !c.ACL.Enabled, DefaultAllowIntention: defaultAllow(c),
		MetricsPrefix:   c.Telemetry.MetricsPrefix,
		ConnectDisabled: !c.Connect.Enabled, PrometheusOff: c.Telemetry.PrometheusRetentionTime <= 0,
		CacheDisabled: !c.HTTP.UseCache, TranslateWAN: c.TranslateWANAddrs,
		ResponseHeaders: c.HTTP.ResponseHeaders, BlockEndpoints: c.HTTP.BlockEndpoints, AllowWriteFrom: c.HTTP.AllowWriteFrom,
	})
	return nil
}

// Run serves until ctx ends or the agent is told to leave. Everything has ended when it returns; an error
// says why the agent could not go on.
func (a *Agent) Run(ctx context.Context) error {
	defer a.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	part := func(name string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	part("control plane", a.plane.Run)
	part("gossip", a.watchPool)
	part("sync", func(ctx context.Context) error { a.syncer.Run(ctx); return nil })
	part("join", a.join)
	part("http", a.serveHTTP)
	part("grpc", a.serveGRPC)
	part("dns", func(ctx context.Context) error { return a.dns.Serve(ctx, a.sockets.dnsUDP, a.sockets.dnsTCP) })
	if !a.options.Started.IsZero() {
		a.log.Info("agent started", "in", time.Since(a.options.Started).Round(time.Millisecond))
	}
	select {
	case <-ctx.Done():
	case <-a.leaving:
		a.depart()
		cancel(nil)
	}
	a.xds.Close()
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Leave starts a graceful leave: the others hear that this agent goes, and Run returns.
func (a *Agent) Leave() { a.leave.Do(func() { close(a.leaving) }) }

// depart tells the pool, and gives the news time to spread.
func (a *Agent) depart() {
	a.log.Info("leaving the cluster")
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := a.pool.Leave(ctx); err != nil {
		a.log.Warn("leaving the gossip pool", "error", err)
	}
}

// join looks for the other members until it has found them.
func (a *Agent) join(ctx context.Context) error {
	if len(a.config.RetryJoin) == 0 {
		return nil
	}
	err := a.pool.RetryJoin(ctx, gossip.Retry{Addrs: a.config.RetryJoin, Interval: a.config.RetryInterval, Max: a.config.RetryMax})
	if err == nil {
		a.syncer.Wake()
	}
	return err
}

// watchPool passes on what happens in the gossip pool.
func (a *Agent) watchPool(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-a.pool.Events():
			if !ok {
				return nil
			}
			a.log.Debug("gossip", "event", e.Kind, "member", e.Member.Name)
			a.plane.MembersChanged()
		}
	}
}

func (a *Agent) gossipConfig(c *config.Config) gossip.Config {
	g := gossip.Config{
		Kind: gossip.LAN, Node: c.NodeName, NodeID: a.nodeID, Datacenter: c.Datacenter,
		BindAddr: c.SerfBindLAN.Addr().String(), BindPort: int(c.SerfBindLAN.Port()),
		AdvertiseAddr: c.AdvertiseAddr.String(), Tags: a.tags(c), Key: c.EncryptKey,
		SnapshotPath: a.dir.in("serf", "local.snapshot"), RejoinAfterLeave: c.RejoinAfterLeave,
		Timers: lanTimers(c), Logger: a.log,
	}
	if c.DevMode {
		g.Timers = gossip.FastTimers()
	}
	if !c.DisableKeyringFile {
		g.KeyringPath = a.dir.in("serf", "local.keyring")
	}
	return g
}

// lanTimers are the pool's defaults with what gossip_lan sets.
func lanTimers(c *config.Config) gossip.Timers {
	t := gossip.LANTimers()
	g := c.GossipLAN
	t.GossipInterval, t.GossipNodes, t.ProbeInterval, t.ProbeTimeout = g.GossipInterval, g.GossipNodes, g.ProbeInterval, g.ProbeTimeout
	t.RetransmitMult, t.SuspicionMult = g.RetransmitMult, g.SuspicionMult
	return t
}

func (a *Agent) tags(c *config.Config) map[string]string {
	if !c.Server {
		return gossip.ClientTags(c.Datacenter, a.nodeID)
	}
	return gossip.ServerTags(gossip.Server{
		Datacenter: c.Datacenter, ID: a.nodeID, Port: a.sockets.rpcPort(c), GRPCPort: c.Ports.GRPC, GRPCTLSPort: c.Ports.GRPCTLS,
		WANJoinPort: c.Ports.SerfWAN, Bootstrap: c.Bootstrap, Expect: c.BootstrapExpect, ACLs: c.ACL.Enabled,
	})
}

// prefixes reads the networks of an option.
func prefixes(option string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s: %q is no network; write it like 169.254.0.0/16", option, text)
		}
		out = append(out, p)
	}
	return out, nil
}

// addrPort reads an instance's address, invalid when it is no IP.
func addrPort(host string, port int) netip.AddrPort {
	ip, err := netip.ParseAddr(host)
	if err != nil || port < 1 || port > 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, uint16(port))
}

// NodeID is the identity of this host.
func (a *Agent) NodeID() model.NodeID { return a.nodeID }
