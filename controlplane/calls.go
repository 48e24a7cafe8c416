package controlplane

import (
	"context"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/rpc"
)

//go:generate go tool msgp -o calls_gen.go -tests=false -io=false -unexported

// The methods of a server that are called by name.
const (
	callConfigureCA = "ca.configure"
	callStatus      = "status"
)

// caSettings are the arguments of callConfigureCA.
type caSettings struct {
	Provider string         `msg:"p"`
	Config   map[string]any `msg:"c"`
}

// nothing is an argument or a result without content.
type nothing struct {
	Unused bool `msg:"u,omitempty"`
}

// Status is what a server knows of the consensus.
type Status struct {
	// Leader is the leader's RPC address, "" when there is none.
	Leader string `msg:"l"`
	// Peers are the RPC addresses of the voters.
	Peers []string `msg:"p"`
}

// Calls returns the methods that are called by name, for the server's RPC port.
func (s *Server) Calls() map[string]rpc.CallFunc {
	return map[string]rpc.CallFunc{
		callConfigureCA: rpc.Method(func(ctx context.Context, req model.Request, c *caSettings) (*nothing, error) {
			return &nothing{}, s.ConfigureCA(ctx, req, c.Provider, c.Config)
		}),
		callStatus: rpc.Method(func(_ context.Context, req model.Request, _ *nothing) (*Status, error) {
			return s.Status(req)
		}),
	}
}

// Status tells what this server knows of the consensus.
func (s *Server) Status(req model.Request) (*Status, error) {
	if err := s.here(req); err != nil {
		return nil, err
	}
	_, leader := s.node.Leader()
	status := &Status{Leader: string(leader)}
	servers, err := s.node.Peers()
	if err != nil {
		return nil, err
	}
	for _, p := range servers {
		status.Peers = append(status.Peers, string(p.Address))
	}
	return status, nil
}
