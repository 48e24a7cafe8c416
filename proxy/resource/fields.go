package resource

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lictor-mesh/lictor/model/fault"
)

// only refuses a message in which another field is set than the ones named. Unknown fields, which a newer control
// plane may send, are refused too: what they ask for cannot be known.
func only(m proto.Message, fields ...string) error {
	var unknown []string
	r := m.ProtoReflect()
	r.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !slices.Contains(fields, string(fd.Name())) {
			unknown = append(unknown, string(fd.Name()))
		}
		return true
	})
	if len(r.GetUnknown()) > 0 {
		unknown = append(unknown, "a field this version does not know")
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return fault.New(fault.Invalid, "%s: this proxy cannot enforce %s", r.Descriptor().Name(), strings.Join(unknown, ", "))
}

// unpack decodes a typed config into m.
func unpack(a *anypb.Any, m proto.Message) error {
	if a == nil {
		return fault.New(fault.Invalid, "%s: the typed config is missing", m.ProtoReflect().Descriptor().Name())
	}
	if err := a.UnmarshalTo(m); err != nil {
		return fault.New(fault.Invalid, "%s: %v", m.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// in names the place of an error.
func in(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.KindOf(err), format+": %w", append(args, err)...)
}
