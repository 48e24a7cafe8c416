// Package command defines every change of the state as a typed command in the Raft log.
//
// Applying a command is pure and deterministic: (state, command, index) gives the same new state, outcome and
// touched topics on every server. Clocks, randomness and I/O stay with the proposer, who puts times and ids into
// the command. Each command travels in an Envelope with the id of its request, which the state remembers for a
// minute: a retry across an election finds the first outcome and does nothing twice.
//
// An unknown kind is an error that stops the server, never a command skipped: a new kind is proposed only when
// every voter knows it.
package command

import (
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Kind numbers the commands in the log: append, never reorder.
type Kind uint8

// The kinds.
const (
	KindRegister Kind = iota + 1
	KindDeregister
	KindIntention
	KindCA
)

// Command is one change of the state.
//
//msgp:ignore Command
type Command interface {
	msgp.Marshaler
	msgp.Unmarshaler
	// Kind is the command's number in the log.
	Kind() Kind
	// Validate refuses, before the command is proposed, what no state could accept.
	Validate() error
	// apply makes the change. With an error the caller drops all that it did.
	apply(tx *state.Tx, at time.Time) (Outcome, error)
}

// fresh returns an empty command of a kind, or nil for a kind that this server does not know.
func fresh(k Kind) Command {
	switch k {
	case KindRegister:
		return new(Register)
	case KindDeregister:
		return new(Deregister)
	case KindIntention:
		return new(Intention)
	case KindCA:
		return new(CA)
	default:
		return nil
	}
}

// Outcome is what a command came to.
type Outcome struct {
	// Index is the Raft index at which it was applied.
	Index model.Index `msg:"i"`
	// OK is the boolean that the API answers: false where a precondition did not hold.
	OK bool `msg:"ok,omitempty"`
	// ID is that of the object the command made.
	ID string `msg:"id,omitempty"`
	// Fault, when its Text is set, is why the state refused the command.
	Fault Fault `msg:"f"`
}

// Fault is a fault.Error as it travels.
type Fault struct {
	Kind uint8  `msg:"k,omitempty"`
	Text string `msg:"t,omitempty"`
	Hint string `msg:"h,omitempty"`
}

// Err returns the fault as an error, nil when there is none.
func (f *Fault) Err() error {
	if f.Text == "" {
		return nil
	}
	return &fault.Error{Kind: fault.Kind(f.Kind), Text: f.Text, Hint: f.Hint}
}

// FaultOf returns err in the form in which it travels.
func FaultOf(err error) Fault {
	if err == nil {
		return Fault{}
	}
	return Fault{Kind: uint8(fault.KindOf(err)), Text: err.Error(), Hint: fault.HintOf(err)}
}

// Envelope is a command on its way to the log.
type Envelope struct {
	Kind      Kind      `msg:"k"`
	RequestID string    `msg:"r,omitempty"`
	Time      time.Time `msg:"t"`
	Body      []byte    `msg:"b"`
}

// Batch is one entry of the log: commands that are applied in their order, each for itself.
type Batch []Envelope

// Wrap encodes a command. The request id is the caller's, at is the proposer's clock.
func Wrap(c Command, requestID string, at time.Time) (Envelope, error) {
	body, err := c.MarshalMsg(nil)
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{Kind: c.Kind(), RequestID: requestID, Time: at, Body: body}, nil
}
