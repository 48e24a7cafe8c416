package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/model"
)

// sidecar is a proxy that is registered with the agent.
type sidecar struct {
	id      model.ServiceID
	service model.ServiceName // its destination
}

// findSidecar looks up the proxy that is registered for the instance with the ID service. A zero sidecar without an
// error is not registered yet; an error of kind *ambiguous will not mend itself.
func findSidecar(cl *client, service string) (sidecar, error) {
	services, err := cl.Agent().Services()
	if err != nil {
		return sidecar{}, cl.hinted(fmt.Errorf("Failed looking up sidecar proxy info for %s: %w", service, err))
	}
	var ids []string
	var found sidecar
	for _, s := range services {
		if s.Kind == api.ServiceKindConnectProxy && s.Proxy != nil && strings.EqualFold(s.Proxy.DestinationServiceID, service) {
			ids = append(ids, s.ID)
			found = sidecar{model.ServiceID(s.ID), model.ServiceName(s.Proxy.DestinationServiceName)}
		}
	}
	if len(ids) > 1 {
		slices.Sort(ids)
		return sidecar{}, &ambiguous{service, ids}
	}
	return found, nil
}

// ambiguous is a service with several sidecars.
type ambiguous struct {
	service string
	ids     []string
}

func (e *ambiguous) Error() string {
	return fmt.Sprintf("More than one sidecar proxy registered for %s. Start the proxy with -proxy-id and one of the following IDs: %s",
		e.service, strings.Join(e.ids, ", "))
}

func isAmbiguous(err error) bool {
	var a *ambiguous
	return errors.As(err, &a)
}

// findProxy looks up a proxy by its own ID. A zero sidecar without an error is not registered yet.
func findProxy(cl *client, id string) (sidecar, error) {
	services, err := cl.Agent().Services()
	if err != nil {
		return sidecar{}, cl.hinted(fmt.Errorf("Failed looking up proxy %s: %w", id, err))
	}
	s := services[id]
	switch {
	case s == nil:
		return sidecar{}, nil
	case s.Proxy == nil || s.Kind != api.ServiceKindConnectProxy:
		return sidecar{model.ServiceID(s.ID), model.ServiceName(s.Service)}, nil
	}
	return sidecar{model.ServiceID(s.ID), model.ServiceName(s.Proxy.DestinationServiceName)}, nil
}

// The pace at which an agent is asked again: quick at first, so that a proxy that starts beside its agent is not late.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// untilReady calls try until it says done, the error is final or ctx ends. What it waits for is logged when it changes.
func untilReady(ctx context.Context, log hclog.Logger, try func() (waiting string, final error)) error {
	pause, said := firstRetry, ""
	for {
		waiting, err := try()
		if err != nil || waiting == "" {
			return err
		}
		if waiting != said {
			log.Info("waiting", "for", waiting)
			said = waiting
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, lastRetry)
	}
}

// xdsPorts are the ports at which an agent serves xDS; 0 is not served.
type xdsPorts struct{ plain, tls int }

// readXDSPorts asks the agent, whose answer an old one gives as a single port.
func readXDSPorts(cl *client) (xdsPorts, error) {
	self, err := cl.Agent().Self()
	if err != nil {
		return xdsPorts{}, cl.hinted(fmt.Errorf("Error querying agent: %w", err))
	}
	section := self["xDS"]
	port := func(m map[string]any, key string) int {
		n, _ := m[key].(float64)
		return max(0, int(n))
	}
	ports, _ := section["Ports"].(map[string]any)
	p := xdsPorts{plain: port(ports, "Plaintext"), tls: port(ports, "TLS")}
	if p == (xdsPorts{}) {
		p.plain = port(section, "Port")
	}
	return p, nil
}

// agentHost is the host at which the agent's HTTP API is reached, and so its xDS.
func (cl *client) agentHost() string {
	addr := cl.httpAddr()
	if strings.HasPrefix(addr, "unix://") {
		return "127.0.0.1"
	}
	if !strings.Contains(addr, "://") {
		addr = "//" + addr
	}
	if u, err := url.Parse(addr); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return "127.0.0.1"
}

// joinPort makes host:port.
func joinPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// stripScheme takes http:// or https:// from an address, and tells whether it asked for TLS. unix:// stays: a dialer
// knows it.
func stripScheme(addr string) (rest string, secure bool) {
	if rest, ok := strings.CutPrefix(addr, "https://"); ok {
		return rest, true
	}
	return strings.TrimPrefix(addr, "http://"), false
}
