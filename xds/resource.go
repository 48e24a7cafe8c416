package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lictor-mesh/lictor/model/fault"
)

// Type is a kind of resource. The order of the constants is the order of pushing.
type Type uint8

// The types that are served.
const (
	TypeSecret Type = iota
	TypeCluster
	TypeEndpoint
	TypeListener
	TypeRoute
	numTypes
)

var typeNames = [numTypes]string{"secret", "cluster", "endpoint", "listener", "route"}

// String names the type for logs and the status of a proxy.
func (t Type) String() string { return typeNames[t] }

var typeURLs = [numTypes]string{
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
	"type.googleapis.com/envoy.config.cluster.v3.Cluster",
	"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
	"type.googleapis.com/envoy.config.listener.v3.Listener",
	"type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}

// URL returns the type URL of the discovery protocol.
func (t Type) URL() string { return typeURLs[t] }

// typeOf finds the type of a URL.
func typeOf(url string) (Type, bool) {
	i := slices.Index(typeURLs[:], url)
	return Type(max(i, 0)), i >= 0
}

// Resource is one marshalled resource. It is immutable and shared.
type Resource struct {
	Name string
	// Version is a hash of the bytes of Body.
	Version string
	Body    *anypb.Any
	// wire is the resource as a response carries it, made once.
	wire *discoveryv3.Resource
	// endpoints is set for endpoint resources.
	endpoints *Endpoints
}

// newResource validates and marshals a top-level message.
func newResource(name string, m proto.Message) (*Resource, error) {
	var p packer
	body := p.pack(m)
	if p.err != nil {
		return nil, fault.New(fault.Invalid, "xDS resource %q: %v", name, p.err)
	}
	sum := sha256.Sum256(body.Value)
	r := &Resource{Name: name, Version: hex.EncodeToString(sum[:12]), Body: body}
	r.wire = &discoveryv3.Resource{Name: name, Version: r.Version, Resource: body}
	return r, nil
}

// packer puts messages into Any, deterministically and only when they are valid. It keeps the first error,
// so that a nest of messages can be written as one expression.
type packer struct{ err error }

func (p *packer) pack(m proto.Message) *anypb.Any {
	out := new(anypb.Any)
	if err := validate(m); err != nil {
		p.fail(err)
		return out
	}
	if err := anypb.MarshalFrom(out, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		p.fail(err)
	}
	return out
}

func (p *packer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// validate applies the message's own rules (protoc-gen-validate), not those of messages inside Any.
func validate(m proto.Message) error {
	v, ok := m.(interface{ ValidateAll() error })
	if !ok {
		return fmt.Errorf("%s has no validation rules", m.ProtoReflect().Descriptor().FullName())
	}
	return v.ValidateAll()
}

// validateNested applies the rules of every message inside an Any of m, at any depth.
func validateNested(m proto.Message) error {
	var failed error
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		failed = validateField(f, v)
		return failed == nil
	})
	return failed
}

func validateField(f protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch {
	case f.IsMap() && f.MapValue().Message() != nil:
		var failed error
		v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
			failed = validateMessage(e.Message().Interface())
			return failed == nil
		})
		return failed
	case f.IsList() && f.Message() != nil:
		for i := range v.List().Len() {
			if err := validateMessage(v.List().Get(i).Message().Interface()); err != nil {
				return err
			}
		}
		return nil
	case !f.IsMap() && !f.IsList() && f.Message() != nil:
		return validateMessage(v.Message().Interface())
	default:
		return nil
	}
}

func validateMessage(m proto.Message) error {
	wrapped, ok := m.(*anypb.Any)
	if !ok {
		return validateNested(m)
	}
	inner, err := wrapped.UnmarshalNew()
	if err != nil {
		return err
	}
	if v, ok := inner.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			return err
		}
	}
	return validateNested(inner)
}
