// Package ads is the delta xDS client of the proxy: one aggregated stream to a control plane, over which it asks for
// listeners and clusters by wildcard, and for the endpoints, secrets and routes that those name.
//
// What it promises: each response is acknowledged, or refused with a reason that names each bad resource; the good
// resources of a refused response count, and of a bad one the last good version stays. A lost stream loses nothing:
// the last known state stays current for as long as it takes, and the next stream resumes from the versions that
// are held. See "Incremental xDS" in Envoy's xDS protocol document.
package ads

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/proxy/resource"
)

// maxResponse bounds one response, in bytes.
const maxResponse = 64 << 20

// keepaliveTime is how long a silent connection is left alone before it is probed. The server must permit it.
const keepaliveTime = 30 * time.Second

// Config says whom the client asks, and as whom.
type Config struct {
	// Addr is host:port of the control plane, or unix:///path.
	Addr string
	// TLS is nil for a connection in plain text, as on loopback.
	TLS *tls.Config
	// Token goes into the metadata x-consul-token, if there is one.
	Token model.Secret
	// ProxyID is the node's id, the ID of the registered proxy service. Service is its cluster.
	ProxyID model.ServiceID
	Service model.ServiceName
	// Metadata is the node's metadata, such as {"namespace": "default"}.
	Metadata map[string]any
	// RetryBase and RetryMax bound the waiting between attempts; 0 stands for 50 ms and 3 s.
	RetryBase, RetryMax time.Duration
	Logger              hclog.Logger
	Registry            prometheus.Registerer
}

// Client is an ADS client. It implements resource.Source.
type Client struct {
	cfg   Config
	log   hclog.Logger
	conn  *grpc.ClientConn
	node  *corev3.Node
	types []kind
	held  held
	m     metrics
	// lastText is the last failure that was logged: a control plane that is away is one line, not one per attempt.
	lastText string
}

type metrics struct {
	connected prometheus.Gauge
	responses *prometheus.CounterVec
	refused   *prometheus.CounterVec
}

// New makes a client. It connects when it is run. An error is of kind fault.Invalid: the address or the metadata.
func New(cfg Config) (*Client, error) {
	if cfg.RetryBase == 0 {
		cfg.RetryBase = 50 * time.Millisecond
	}
	if cfg.RetryMax == 0 {
		cfg.RetryMax = 3 * time.Second
	}
	meta, err := structpb.NewStruct(cfg.Metadata)
	if err != nil {
		return nil, fault.New(fault.Invalid, "node metadata: %v", err)
	}
	transport := insecure.NewCredentials()
	if cfg.TLS != nil {
		transport = credentials.NewTLS(cfg.TLS)
	}
	target := cfg.Addr
	if !strings.HasPrefix(target, "unix:") {
		target = "passthrough:///" + target
	}
	// The connection's own backoff is short: the client's is what paces the attempts.
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponse)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 2 * time.Second,
			Backoff: backoff.Config{BaseDelay: cfg.RetryBase / 2, Multiplier: 1.2, Jitter: 0.2, MaxDelay: cfg.RetryMax / 2}}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: 10 * time.Second}))
	if err != nil {
		return nil, fault.New(fault.Invalid, "xDS address %q: %v", cfg.Addr, err)
	}
	c := &Client{cfg: cfg, log: cfg.Logger.Named("xds"), conn: conn, types: kinds(), held: newHeld()}
	c.node = &corev3.Node{Id: string(cfg.ProxyID), Cluster: string(cfg.Service), Metadata: meta, UserAgentName: "lictor"}
	c.m = metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{Name: "lictor_proxy_xds_connected",
			Help: "1 while a stream to the control plane is open."}),
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_xds_responses_total",
			Help: "Responses of the control plane, by type of resource."}, []string{"type"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_xds_refused_total",
			Help: "Responses that were refused (NACK), by type of resource."}, []string{"type"}),
	}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(c.m.connected, c.m.responses, c.m.refused)
	}
	return c, nil
}

// Run keeps a stream open until ctx ends, and then closes the connection: a client runs once. See resource.Source.
func (c *Client) Run(ctx context.Context, sink resource.Sink) {
	defer func() { _ = c.conn.Close() }()
	sink.Report("no answer from the control plane at " + c.cfg.Addr + " yet")
	attempt := 0
	for ctx.Err() == nil {
		began := time.Now()
		answered, err := c.stream(ctx, sink)
		c.m.connected.Set(0)
		if ctx.Err() != nil {
			return
		}
		if answered || time.Since(began) > c.cfg.RetryMax {
			attempt = 0
		}
		c.lost(sink, err)
		select {
		case <-ctx.Done():
		case <-time.After(c.delay(attempt)):
		}
		attempt++
	}
}

// delay is the pause before an attempt: exponential, and anywhere in its upper half, so that a thousand proxies that
// lost the same control plane do not come back at once.
func (c *Client) delay(attempt int) time.Duration {
	d := c.cfg.RetryBase << min(attempt, 20)
	if d <= 0 || d > c.cfg.RetryMax {
		d = c.cfg.RetryMax
	}
	return d/2 + rand.N(d/2+1)
}

// lost reports why there is no stream.
func (c *Client) lost(sink resource.Sink, err error) {
	text := ""
	switch code := status.Code(err); code {
	case codes.PermissionDenied, codes.Unauthenticated:
		text = "the control plane at " + c.cfg.Addr + " refuses this proxy's token: " + status.Convert(err).Message() +
			" (give it a token with service:write on " + string(c.cfg.Service) + ")"
	default:
		text = "the control plane at " + c.cfg.Addr + " does not answer: " + status.Convert(err).Message()
	}
	sink.Report(text)
	if text == c.lastText {
		c.log.Debug("still waiting", "reason", text)
		return
	}
	c.lastText = text
	c.log.Warn("working on the last known state", "reason", text)
}

// silence is what it means that a control plane says nothing on an open stream: to a client that holds resources,
// that they are still current; to a new one, that there is nothing for it yet.
func (c *Client) silence() string {
	if len(c.held.versions) > 0 {
		return ""
	}
	return "connected to the control plane at " + c.cfg.Addr + ", which has nothing for the proxy " + string(c.cfg.ProxyID) +
		" yet: is it registered, and can its certificate be made?"
}

// stream runs one stream to its end, and tells whether the control plane answered on it.
func (c *Client) stream(ctx context.Context, sink resource.Sink) (answered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !c.cfg.Token.IsZero() {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", c.cfg.Token.Reveal())
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return false, err
	}
	s := session{client: c, stream: stream, subscribed: make(map[string]map[string]bool)}
	if err := s.subscribeAll(); err != nil {
		return false, s.cause(err)
	}
	c.m.connected.Set(1)
	sink.Report(c.silence())
	for {
		resp, err := stream.Recv()
		if err != nil {
			return answered, err
		}
		if !answered {
			answered, c.lastText = true, ""
			c.log.Info("connected to the control plane", "address", c.cfg.Addr)
		}
		// The state is handed on before the ACK: a control plane that saw it may count on its being in force.
		refusal := c.held.take(c.types, resp)
		sink.Apply(c.held.state.Clone())
		sink.Report("")
		if err := s.answer(resp, refusal); err != nil {
			return answered, s.cause(err)
		}
	}
}
