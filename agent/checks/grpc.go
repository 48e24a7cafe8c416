package checks

import (
	"context"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lictor-mesh/lictor/model"
)

type grpcProbe struct {
	addr, service string
	creds         credentials.TransportCredentials
	env           *Env
}

// newGRPC makes a check that asks the standard gRPC health service
// (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). The target is host:port[/service].
func newGRPC(s Spec, env *Env) (Check, error) {
	d := &s.Definition
	addr, service, _ := strings.Cut(d.GRPC, "/")
	host, err := hostOf(addr, "GRPC")
	if err != nil {
		return nil, err
	}
	p := &grpcProbe{addr: addr, service: service, creds: insecure.NewCredentials(), env: env}
	if d.GRPCUseTLS {
		p.creds = credentials.NewTLS(env.tlsConfig(d, host))
	}
	return every(s, env, p, DefaultTimeout), nil
}

// Probe implements Probe.
func (p *grpcProbe) Probe(ctx context.Context) Result {
	conn, err := grpc.NewClient("passthrough:///"+p.addr,
		grpc.WithTransportCredentials(p.creds),
		grpc.WithUserAgent(UserAgent),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<10)),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return p.env.dial(ctx, "tcp", addr) }))
	if err != nil {
		return critical(err)
	}
	defer conn.Close()
	resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: p.service})
	if err != nil {
		return critical(err)
	}
	if resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return critical(fmt.Errorf("gRPC check %s: status is %s", p.addr, resp.GetStatus()))
	}
	return Result{Status: model.StatusPassing, Output: fmt.Sprintf("gRPC check %s: success", p.addr)}
}
