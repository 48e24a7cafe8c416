// Package view turns reads into views. A read is declared once, as a pure function over a snapshot of the
// state; a view is the current result of one (read, arguments, rights), shared by all who wait for it.
//
// A view is computed once per change however many wait, its renderings are kept with its result, and it is
// dropped when nobody has used it for a while. Engine computes views from a server's own state; Mirror holds
// views that a server's stream feeds. Both are a Source, and HTTP long polls, DNS, xDS and the streams to agents
// are its subscribers. A plain Fetch from an Engine never shows less than the last write that the state applied.
package view

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Query names a view: a read, its encoded arguments and the rights that narrow it. Equal queries share one
// view, so rights are reduced to what the read can touch before they come here.
type Query struct {
	Read   string
	Args   string
	Rights string
}

// Topics are the parts of the state that a read depends on.
type Topics struct {
	// Wake moves when the result may have changed for those who wait.
	Wake []state.Topic
	// Index, when set, are the topics whose greatest index is the result's, where that is more than Wake: a
	// plain read of /v1/catalog/service shows the index of a check that wakes nobody there.
	Index []state.Topic
}

func (t Topics) index() []state.Topic {
	if t.Index != nil {
		return t.Index
	}
	return t.Wake
}

// Read is a declared read, whatever its types.
type Read interface {
	// Name is the read's name in queries and over RPC.
	Name() string
	plan(args string) (plan, error)
	// decode reads a value that a server's stream brought.
	decode(body []byte) (msgp.Marshaler, error)
}

// plan is a read with its arguments bound.
type plan struct {
	topics Topics
	run    func(*state.Snapshot) msgp.Marshaler
}

// codec is a type whose pointer is its msgpack codec.
type codec[T any] interface {
	*T
	msgp.Marshaler
	msgp.Unmarshaler
}

// Of is a read with arguments A and result V.
type Of[A, V any, PA codec[A], PV codec[V]] struct {
	name   string
	topics func(A) Topics
	run    func(*state.Snapshot, A) V
}

// Declare makes a read from its name, what it depends on, and what it computes. Both functions are pure.
func Declare[A, V any, PA codec[A], PV codec[V]](name string, topics func(A) Topics, run func(*state.Snapshot, A) V) *Of[A, V, PA, PV] {
	return &Of[A, V, PA, PV]{name, topics, run}
}

// Name implements Read.
func (d *Of[A, V, PA, PV]) Name() string { return d.name }

// Query returns the query for the read with args.
func (d *Of[A, V, PA, PV]) Query(args A) Query {
	body, err := PA(&args).MarshalMsg(nil)
	if err != nil {
		panic("view: arguments always encode: " + err.Error())
	}
	return Query{Read: d.name, Args: string(body)}
}

// Value returns the result of the read. It is shared: nobody changes it.
func (d *Of[A, V, PA, PV]) Value(r *Result) *V { return (*V)(r.value.(PV)) }

func (d *Of[A, V, PA, PV]) plan(body string) (plan, error) {
	var args A
	if _, err := PA(&args).UnmarshalMsg([]byte(body)); err != nil {
		return plan{}, fault.New(fault.BadRequest, "read %s: its arguments do not decode: %w", d.name, err)
	}
	return plan{
		topics: d.topics(args),
		run: func(s *state.Snapshot) msgp.Marshaler {
			v := d.run(s, args)
			return PV(&v)
		},
	}, nil
}

func (d *Of[A, V, PA, PV]) decode(body []byte) (msgp.Marshaler, error) {
	v := new(V)
	if _, err := PV(v).UnmarshalMsg(body); err != nil {
		return nil, fault.New(fault.Internal, "read %s: its result does not decode: %w", d.name, err)
	}
	return PV(v), nil
}

// catalog is the set of reads that a Source knows.
type catalog map[string]Read

func newCatalog(reads []Read) catalog {
	c := make(catalog, len(reads))
	for _, r := range reads {
		c[r.Name()] = r
	}
	return c
}

func (c catalog) find(q Query) (Read, error) {
	r := c[q.Read]
	if r == nil {
		return nil, fault.New(fault.BadRequest, "read %q is unknown to this version", q.Read)
	}
	return r, nil
}

// None is the argument of reads that have none.
type None struct{}

// MarshalMsg implements msgp.Marshaler.
func (*None) MarshalMsg(b []byte) ([]byte, error) { return b, nil }

// UnmarshalMsg implements msgp.Unmarshaler.
func (*None) UnmarshalMsg(b []byte) ([]byte, error) { return b, nil }

// Decode returns the result that body holds for a query, as a server encoded it.
func Decode(reads []Read, q Query, index model.Index, body []byte) (*Result, error) {
	r, err := newCatalog(reads).find(q)
	if err != nil {
		return nil, err
	}
	v, err := r.decode(body)
	if err != nil {
		return nil, err
	}
	return &Result{value: v, index: index}, nil
}
