package rpc

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Segmented is a message whose bulk is written without a copy.
type Segmented interface {
	// Segments returns the message in two parts. Neither is changed afterwards.
	Segments() (head, tail []byte, err error)
}

// message is what the codec takes.
type message interface {
	msgp.Marshaler
	msgp.Unmarshaler
}

// Codec returns the gRPC codec of all our messages: msgpack as tinylib/msgp generates it.
func Codec() encoding.CodecV2 { return codec{} }

type codec struct{}

// Name implements encoding.CodecV2. It is part of the content type.
func (codec) Name() string { return "lictor-msgpack" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case Segmented:
		head, tail, err := m.Segments()
		if err != nil {
			return nil, err
		}
		out := mem.BufferSlice{mem.SliceBuffer(head)}
		if len(tail) > 0 {
			out = append(out, mem.SliceBuffer(tail))
		}
		return out, nil
	case msgp.Marshaler:
		b, err := m.MarshalMsg(nil)
		if err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return nil, fmt.Errorf("rpc: %T is no message", v)
}

// Unmarshal implements encoding.CodecV2. A message may keep parts of the bytes it is given: they are its own.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(msgp.Unmarshaler)
	if !ok {
		return fmt.Errorf("rpc: %T is no message", v)
	}
	_, err := m.UnmarshalMsg(data.Materialize())
	return err
}

// withBody encodes the fields and announces the body that follows them.
func withBody(fields msgp.Marshaler, body []byte) ([]byte, []byte, error) {
	head, err := fields.MarshalMsg(make([]byte, 0, 64))
	if err != nil {
		return nil, nil, err
	}
	return msgp.AppendBytesHeader(head, uint32(len(body))), body, nil
}

// bodyOf takes the body that follows the fields, without a copy.
func bodyOf(rest []byte) ([]byte, []byte, error) {
	return msgp.ReadBytesZC(rest)
}

// readReply and update are ReadReply and Update with their bodies, as the codec sees them.
type (
	readReply struct{ *ReadReply }
	update    struct{ *Update }
)

// Segments implements Segmented.
func (r readReply) Segments() ([]byte, []byte, error) { return withBody(r.ReadReply, r.Body) }

// UnmarshalMsg implements msgp.Unmarshaler.
func (r readReply) UnmarshalMsg(b []byte) (rest []byte, err error) {
	if rest, err = r.ReadReply.UnmarshalMsg(b); err != nil {
		return rest, err
	}
	r.Body, rest, err = bodyOf(rest)
	return rest, err
}

// Segments implements Segmented.
func (u update) Segments() ([]byte, []byte, error) { return withBody(u.Update, u.Body) }

// UnmarshalMsg implements msgp.Unmarshaler.
func (u update) UnmarshalMsg(b []byte) (rest []byte, err error) {
	if rest, err = u.Update.UnmarshalMsg(b); err != nil {
		return rest, err
	}
	u.Body, rest, err = bodyOf(rest)
	return rest, err
}

// whole refuses bytes that are not complete msgpack objects. Generated decoders allocate a list by the count
// that its header announces: unchecked, seven bytes from any caller would cost gigabytes. Walked through
// first, a list has at least a byte for each element, and the message's own bound is a bound on them.
func whole(what string, b []byte) error {
	for len(b) > 0 {
		rest, err := msgp.Skip(b)
		if err != nil {
			return fault.New(fault.BadRequest, "%s cannot be read: %v", what, err)
		}
		b = rest
	}
	return nil
}

// RequestOf puts a request into the form in which it travels.
func RequestOf(r model.Request) Request { return Request{Meta: r, Token: r.Token.Reveal()} }

// Model returns the request with its token.
func (r *Request) Model() model.Request {
	m := r.Meta
	m.Token = model.NewSecret(r.Token)
	return m
}

// FaultOf puts an error into the form in which it travels; nil is the zero Fault.
func FaultOf(err error) Fault {
	if err == nil {
		return Fault{}
	}
	text := err.Error()
	if text == "" {
		text = fault.KindOf(err).String() // the zero Fault must not be taken for success
	}
	return Fault{Kind: uint8(fault.KindOf(err)), Text: text, Hint: fault.HintOf(err)}
}

// Err returns the fault as an error, nil for the zero Fault.
func (f *Fault) Err() error {
	if f.Text == "" {
		return nil
	}
	return &fault.Error{Kind: fault.Kind(f.Kind), Text: f.Text, Hint: f.Hint}
}
