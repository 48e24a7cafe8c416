package rpc

import (
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// Fields are only ever added, with omitempty: a reader skips those it does not know.

// Request is what every request carries beside its own fields.
type Request struct {
	Meta model.Request `msg:"m"`
	// Token is Meta's token, which does not encode itself.
	Token string `msg:"t,omitempty"`
	// Hold bounds how long the server may wait for a leader before it answers fault.NoLeader; 0 is the server's own.
	Hold time.Duration `msg:"h,omitempty"`
}

// ApplyRequest proposes a command.
type ApplyRequest struct {
	Request Request `msg:"q"`
	// RequestID makes a repetition harmless; the same for all attempts of one write.
	RequestID string `msg:"id"`
	// Kind and Body are the command, see package command.
	Kind uint8  `msg:"k"`
	Body []byte `msg:"b"`
}

// ApplyReply is the outcome of a command.
type ApplyReply struct {
	Index  model.Index `msg:"i"`
	Result []byte      `msg:"r,omitempty"`
	Fault  Fault       `msg:"f,omitempty"`
}

// ReadRequest asks for the result of a declared read.
type ReadRequest struct {
	Request Request `msg:"q"`
	// Read and Args name it, see package view.
	Read string `msg:"r"`
	Args []byte `msg:"a,omitempty"`
}

// ReadReply is a result, encoded once by the server's view. On the wire Body follows the other fields, so
// that it need not be copied into the message.
type ReadReply struct {
	Meta  model.ReadMeta `msg:"m"`
	Fault Fault          `msg:"f,omitempty"`
	Body  []byte         `msg:"-"`
}

// SignRequest asks for a leaf certificate for a key that the caller holds.
type SignRequest struct {
	Request Request           `msg:"q"`
	Service model.ServiceName `msg:"s"`
	// CSR is the PEM of the certificate request.
	CSR string `msg:"c"`
}

// SignReply is the leaf, without its key.
type SignReply struct {
	Leaf  model.LeafCert `msg:"l"`
	Fault Fault          `msg:"f,omitempty"`
}

// CallRequest calls one of the methods that are registered by name.
type CallRequest struct {
	Request Request `msg:"q"`
	Method  string  `msg:"n"`
	Body    []byte  `msg:"b,omitempty"`
}

// CallReply is what the method returned.
type CallReply struct {
	Body  []byte `msg:"b,omitempty"`
	Fault Fault  `msg:"f,omitempty"`
}

// Order is a subscriber's message: to begin a subscription, or with Cancel to end it.
type Order struct {
	// ID names the subscription on this stream; it is never used again.
	ID     uint64 `msg:"id"`
	Cancel bool   `msg:"x,omitempty"`
	// Request's MinIndex is the index that the subscriber already holds: nothing is sent up to it.
	Request Request `msg:"q,omitempty"`
	Read    string  `msg:"r,omitempty"`
	Args    []byte  `msg:"a,omitempty"`
}

// Update is the newest result of a subscription, or with a Fault its end. On the wire Body follows the
// other fields.
type Update struct {
	ID   uint64         `msg:"id"`
	Meta model.ReadMeta `msg:"m"`
	// Fresh tells that the servers' state was replaced: an index below the one held is no step back.
	Fresh bool   `msg:"n,omitempty"`
	Fault Fault  `msg:"f,omitempty"`
	Body  []byte `msg:"-"`
}

// Fault is a fault.Error on the wire.
type Fault struct {
	Kind uint8  `msg:"k,omitempty"`
	Text string `msg:"t,omitempty"`
	Hint string `msg:"h,omitempty"`
	// Leader is where the leader is reached, with the kind fault.NotLeader, where the server knows it.
	Leader string `msg:"l,omitempty"`
}
