package httpapi

import (
	"strings"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The bodies that are not registrations are small. Each is decoded by a table of its keys: case does not
// count, an unknown key is an error, null is the zero value, and what follows the first value is not looked at.

// decoder takes one value of a body.
type decoder func(v *tree.Value) error

// keys are the keys of an object, in lower case.
type keys map[string]decoder

// decodeBody reads a body by its keys. Errors are of kind fault.BadRequest.
func decodeBody(body []byte, k keys) error {
	v, _, err := tree.ParseJSON(body)
	if err == nil {
		err = k.decode(v)
	}
	if err != nil {
		return bad("Request decode failed: %v", err)
	}
	return nil
}

func (k keys) decode(v *tree.Value) error {
	if v.Kind == tree.Null {
		return nil
	}
	if v.Kind != tree.Object {
		return mismatch(v, "an object")
	}
	for _, f := range v.Fields {
		d := k[strings.ToLower(f.Key)]
		if d == nil {
			return fault.New(fault.BadRequest, "json: unknown field %q", f.Key)
		}
		if f.Value.Kind == tree.Null {
			continue
		}
		if err := d(f.Value); err != nil {
			return err
		}
	}
	return nil
}

func mismatch(v *tree.Value, want string) error {
	return fault.New(fault.BadRequest, "json: cannot unmarshal %s into Go value: it must be %s", v.Kind, want)
}

func intoText[S ~string](target *S) decoder {
	return func(v *tree.Value) error {
		if v.Kind != tree.String {
			return mismatch(v, "a string")
		}
		*target = S(v.Text)
		return nil
	}
}

func intoFlag(target *bool) decoder {
	return func(v *tree.Value) error {
		if v.Kind != tree.Bool {
			return mismatch(v, "true or false")
		}
		*target = v.Bool
		return nil
	}
}

// intoList decodes a list whose elements are of one form.
func intoList[T any](target *[]T, each func(*T) decoder) decoder {
	return func(v *tree.Value) error {
		if v.Kind != tree.List {
			return mismatch(v, "a list")
		}
		*target = make([]T, len(v.Items))
		for i, item := range v.Items {
			if item.Kind == tree.Null {
				continue
			}
			if err := each(&(*target)[i])(item); err != nil {
				return err
			}
		}
		return nil
	}
}

// intoPart decodes an object into a value that is made for it.
func intoPart[T any](target **T, k func(*T) keys) decoder {
	return func(v *tree.Value) error {
		*target = new(T)
		return k(*target).decode(v)
	}
}

func intoTable(target *map[string]string) decoder {
	return func(v *tree.Value) error {
		if v.Kind != tree.Object {
			return mismatch(v, "an object")
		}
		*target = make(map[string]string, len(v.Fields))
		for _, f := range v.Fields {
			if f.Value.Kind != tree.String {
				return mismatch(f.Value, "a string")
			}
			(*target)[f.Key] = f.Value.Text
		}
		return nil
	}
}

// ignored takes what the server derives itself.
func ignored(*tree.Value) error { return nil }
