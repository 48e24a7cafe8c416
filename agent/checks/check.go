// Package checks runs health checks: one file per kind (http.go, tcp.go, ttl.go, ...), each the same way: a
// constructor that turns a definition into a Check, and the list in Kinds that names it.
//
// A kind that asks something now and then is a Probe, and the loop of loop.go gives it its interval, its
// timeout, its thresholds and the power to be run at once. A kind that waits for others (TTL, alias) is a
// Check of its own. Whatever is found goes to the Report function of the Spec; what a check's status means to
// the host is the business of agent/local.
//
// A check connects only to addresses it resolved itself, never to link-local or cloud metadata addresses
// unless they are allowed, follows few redirects, and returns bounded output. Scripts run only where the
// configuration allows them, by argument vector, never through a shell.
package checks

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// UserAgent is what the checks that speak HTTP call themselves.
const UserAgent = "Consul Health Check"

// The bounds and defaults of every check.
const (
	MinInterval          = time.Second
	DefaultTimeout       = 10 * time.Second
	DefaultScriptTimeout = 30 * time.Second
	DefaultOutputMaxSize = 4096
)

// Result is what a check found.
type Result struct {
	Status model.Status
	Output string
	// Settled tells that the status is also what the last run found by itself: thresholds hold nothing back.
	Settled bool
}

// Check is one running check of any kind. It reports through its Spec.
type Check interface {
	// Run works until ctx ends.
	Run(ctx context.Context)
}

// Kicker is a Check that can be asked for a fresh result.
type Kicker interface {
	// Kick makes the check run at once, where it can. The channel is closed when a settled result was reported
	// that was begun after the call, or when the check has ended.
	Kick() <-chan struct{}
}

// Updater is a Check whose result is told by others.
type Updater interface {
	// Update reports r as the check's result.
	Update(r Result)
}

// Probe asks once whether something is healthy.
type Probe interface {
	// Probe returns passing, warning or critical, and what there is to say about it. ctx ends at the timeout.
	Probe(ctx context.Context) Result
}

// Source is who registered a check.
type Source uint8

// The sources. Scripts from the API and from files are allowed separately.
const (
	FromAPI Source = iota
	FromConfig
)

// Spec is one check to be made.
type Spec struct {
	Definition model.CheckDefinition
	Source     Source
	// Status is the check's status until its first result.
	Status model.Status
	// AtOnce makes the first run come at once, not at a random moment within the interval.
	AtOnce bool
	// Expires is when a restored TTL ends; zero is a TTL from now.
	Expires time.Time
	// Report takes every result. It must not call back into the check.
	Report func(Result)
}

// NodeChecks reads the checks of other nodes, for aliases of them.
type NodeChecks interface {
	// NodeChecks returns the node's checks, those of its services included, and a channel that is closed when
	// they may have changed. An unknown node is fault.NotFound.
	NodeChecks(ctx context.Context, node model.NodeName) ([]*model.Check, <-chan struct{}, error)
}

// Env is what all checks of an agent share.
type Env struct {
	Log hclog.Logger
	// Node is this host; aliases of other nodes are read from Remote, which may be nil.
	Node   model.NodeName
	Remote NodeChecks
	// Random returns a random duration in [0, n).
	Random func(n time.Duration) time.Duration
	// OutputMaxSize is check_output_max_size in bytes; 0 is DefaultOutputMaxSize.
	OutputMaxSize int
	// Allow lists addresses that checks may reach although they are link-local or serve cloud metadata.
	Allow []netip.Prefix
	// Resolver looks host names up; nil is the host's.
	Resolver *net.Resolver
	// TLS is where TLS of checks starts from (client certificates, roots); nil is the host's roots.
	TLS *tls.Config
	// Scripts allows script checks from the API and from files, LocalScripts from files only.
	Scripts, LocalScripts bool
}

// Kind makes the checks of one type.
type Kind struct {
	// Name is what CheckDefinition.Type calls the kind.
	Name string
	// New makes a check, or says why it cannot run on this agent.
	New func(s Spec, env *Env) (Check, error)
}

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{
		{"http", newHTTP},
		{"tcp", newTCP},
		{"udp", newUDP},
		{"grpc", newGRPC},
		{"h2ping", newH2Ping},
		{"script", newScript},
		{"docker", newDocker},
		{"os_service", newOSService},
		{"ttl", newTTL},
		{"alias", newAlias},
	}
}

// New makes the check that s defines. A definition without a kind, or one that this agent may not or cannot
// run, is an error (fault.BadRequest, fault.Invalid).
func New(s Spec, env *Env) (Check, error) {
	kind := s.Definition.Type()
	for _, k := range Kinds() {
		if k.Name == kind {
			return k.New(s, env)
		}
	}
	return nil, fault.New(fault.BadRequest, "Invalid check: TTL must be > 0 for TTL checks").
		WithHint("check %q names nothing to do; set one of HTTP, TCP, UDP, GRPC, H2PING, Args, AliasService, AliasNode, TTL", s.Definition.CheckID)
}

// outputLimit is how many bytes of output a check keeps: the smaller of its own limit and the agent's.
func (e *Env) outputLimit(d *model.CheckDefinition) int {
	limit := e.OutputMaxSize
	if limit <= 0 {
		limit = DefaultOutputMaxSize
	}
	if d.OutputMaxSize > 0 && d.OutputMaxSize < limit {
		limit = d.OutputMaxSize
	}
	return limit
}

// tlsConfig is the TLS of a check towards host.
func (e *Env) tlsConfig(d *model.CheckDefinition, host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.TLS != nil {
		c = e.TLS.Clone()
	}
	c.InsecureSkipVerify = d.TLSSkipVerify //nolint:gosec // the definition asks for it by name
	c.ServerName = host
	if d.TLSServerName != "" {
		c.ServerName = d.TLSServerName
	}
	return c
}

func critical(err error) Result { return Result{Status: model.StatusCritical, Output: err.Error()} }
