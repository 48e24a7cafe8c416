package tunnel

import (
	"io"
	"time"

	"github.com/lictor-mesh/lictor/model/fault"
)

// Code is what a native server answers to a caller.
type Code uint8

// The codes travel as one byte: append, never renumber. A client takes a code that it does not know for a refusal by
// this one instance.
const (
	// Accepted: the application was reached, and everything that follows on the connection is its own.
	Accepted Code = iota
	// Denied: no intention allows the caller. The reason names the policy that decided.
	Denied
	// Unreachable: the local application does not take connections.
	Unreachable
)

// String names the code for logs and metrics.
func (c Code) String() string {
	names := [...]string{"accepted", "denied", "unreachable"}
	if int(c) < len(names) {
		return names[c]
	}
	return "refused"
}

// Verdict is the answer with its reason, which may be empty. On the wire it is the code; unless that is Accepted, the
// length of the reason follows in one byte, and then the reason.
type Verdict struct {
	Code   Code
	Reason string
}

// Refusal turns a verdict into an error; nil when it accepts. Only a denial is of kind fault.Permission: the other
// instances of a service would answer the same, while any other refusal is one instance's own.
func (v Verdict) Refusal() error {
	switch v.Code {
	case Accepted:
		return nil
	case Denied:
		return fault.New(fault.Permission, "denied by the intention %q", v.Reason)
	}
	return fault.New(fault.Unavailable, "%s: %s", v.Code, v.Reason)
}

// maxReason is the longest reason, in bytes.
const maxReason = 255

// Send writes a verdict to a native peer, and does not wait longer than the given time.
func (c *Conn) Send(v Verdict, timeout time.Duration) error {
	reason := v.Reason[:min(len(v.Reason), maxReason)]
	frame := []byte{byte(v.Code)}
	if v.Code != Accepted {
		frame = append(append(frame, byte(len(reason))), reason...)
	}
	if err := c.Socket.Conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := c.TLS.Write(frame); err != nil {
		return err
	}
	return c.Socket.Conn.SetWriteDeadline(time.Time{})
}

// Await reads the verdict of a native server. An error means that none came within the given time.
func (c *Conn) Await(timeout time.Duration) (Verdict, error) {
	if err := c.Socket.Conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return Verdict{}, err
	}
	v, err := readVerdict(c.TLS)
	if err != nil {
		return Verdict{}, err
	}
	return v, c.Socket.Conn.SetReadDeadline(time.Time{})
}

// readVerdict reads exactly the frame: the byte behind it is the application's.
func readVerdict(r io.Reader) (Verdict, error) {
	var head [1]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Verdict{}, err
	}
	v := Verdict{Code: Code(head[0])}
	if v.Code == Accepted {
		return v, nil
	}
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Verdict{}, err
	}
	reason := make([]byte, head[0])
	if _, err := io.ReadFull(r, reason); err != nil {
		return Verdict{}, err
	}
	v.Reason = string(reason)
	return v, nil
}
