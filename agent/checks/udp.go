package checks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// udpSilence is how long a UDP check waits for a refusal: nothing heard within it is success.
const udpSilence = time.Second

type udpProbe struct {
	addr string
	env  *Env
}

// newUDP makes a check that sends an empty datagram. An answer, or silence, is passing: only an ICMP refusal
// tells that nobody listens.
func newUDP(s Spec, env *Env) (Check, error) {
	if _, err := hostOf(s.Definition.UDP, "UDP"); err != nil {
		return nil, err
	}
	return every(s, env, &udpProbe{addr: s.Definition.UDP, env: env}, DefaultTimeout), nil
}

// Probe implements Probe.
func (p *udpProbe) Probe(ctx context.Context) Result {
	conn, err := p.env.dial(ctx, "udp", p.addr)
	if err != nil {
		return critical(err)
	}
	defer conn.Close()
	until := time.Now().Add(udpSilence)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	_ = conn.SetDeadline(until)
	if _, err := conn.Write(nil); err != nil {
		return critical(err)
	}
	var buf [1]byte
	if _, err := conn.Read(buf[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return critical(err)
	}
	return Result{Status: model.StatusPassing, Output: fmt.Sprintf("UDP connect %s: Success", p.addr)}
}
