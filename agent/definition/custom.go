package definition

import (
	"fmt"
	"reflect"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// defaultWeights are an instance's shares when it names none.
var defaultWeights = model.Weights{Passing: 1, Warning: 1}

type customDecoder = func(d *decoder, at string, g tree.Group, target reflect.Value) error

// inPlace decodes a nested object whose fields lie in the same target as its parent's.
func inPlace(s *shape) customDecoder { return inPlaceAt(s, nil) }

// inPlaceAt decodes a nested object by the table s into the part of the target at path.
func inPlaceAt(s *shape, path []int) customDecoder {
	return func(d *decoder, at string, g tree.Group, target reflect.Value) error {
		v, err := d.one(at, g)
		if err != nil {
			return err
		}
		return d.object(s, at, v, target.FieldByIndex(path))
	}
}

// one makes one object of all occurrences of a key.
func (d *decoder) one(path string, g tree.Group) (*tree.Value, error) {
	if len(g.Values) == 1 {
		if d.file {
			return single(g.Values[0]), nil
		}
		return g.Values[0], nil
	}
	if !d.file {
		return g.Values[len(g.Values)-1], nil
	}
	return fold(path, g, false)
}

// many makes a list of all occurrences of a key.
func (d *decoder) many(path string, g tree.Group) (*tree.Value, error) {
	if len(g.Values) > 1 && d.file {
		return fold(path, g, true)
	}
	v := g.Values[len(g.Values)-1]
	if d.file && v.Kind == tree.Object {
		return &tree.Value{Kind: tree.List, Pos: v.Pos, Items: []*tree.Value{v}}, nil
	}
	return v, nil
}

func appendOneCheck(d *decoder, at string, g tree.Group, target reflect.Value) error {
	// Files repeat the block `check` for several checks; the API has one Check.
	v, err := d.many(at, g)
	if err != nil {
		return err
	}
	items := []*tree.Value{v}
	if v.Kind == tree.List && d.file {
		items = v.Items
	}
	def := target.Addr().Interface().(*model.ServiceDefinition)
	for i, item := range items {
		var c model.CheckDefinition
		if err := d.object(d.tables.serviceCheck, at, item, reflect.ValueOf(&c).Elem()); err != nil {
			return err
		}
		// An empty Check stands for none. The single one precedes the list, wherever it stands in the text.
		if !reflect.ValueOf(c).IsZero() {
			def.Checks = append(def.Checks[:i:i], append([]model.CheckDefinition{c}, def.Checks[i:]...)...)
		}
	}
	return nil
}

func appendChecks(d *decoder, at string, g tree.Group, target reflect.Value) error {
	v, err := d.many(at, g)
	if err != nil || v.Kind == tree.Null {
		return err
	}
	if v.Kind != tree.List {
		return d.mismatch(at, v, "a list", "[]CheckType")
	}
	def := target.Addr().Interface().(*model.ServiceDefinition)
	for _, item := range v.Items {
		var c model.CheckDefinition
		if err := d.object(d.tables.serviceCheck, at, item, reflect.ValueOf(&c).Elem()); err != nil {
			return err
		}
		def.Checks = append(def.Checks, c)
	}
	return nil
}

func decodeSidecar(d *decoder, at string, g tree.Group, target reflect.Value) error {
	v, err := d.one(at, g)
	if err != nil || v.Kind == tree.Null {
		return err
	}
	sidecar := new(model.ServiceDefinition)
	if err := d.object(d.tables.service, at, v, reflect.ValueOf(sidecar).Elem()); err != nil {
		return err
	}
	target.Addr().Interface().(*model.ServiceDefinition).Sidecar = sidecar
	return nil
}

func appendOneCatalogCheck(d *decoder, at string, g tree.Group, target reflect.Value) error {
	v, err := d.one(at, g)
	if err != nil || v.Kind == tree.Null {
		return err
	}
	c := new(model.Check)
	if err := d.object(d.tables.catalogCheck, at, v, reflect.ValueOf(c).Elem()); err != nil {
		return err
	}
	reg := target.Addr().Interface().(*model.Registration)
	reg.Checks = append([]*model.Check{c}, reg.Checks...)
	return nil
}

func appendCatalogChecks(d *decoder, at string, g tree.Group, target reflect.Value) error {
	v, err := d.many(at, g)
	if err != nil || v.Kind == tree.Null {
		return err
	}
	if v.Kind != tree.List {
		return d.mismatch(at, v, "a list", "HealthChecks")
	}
	reg := target.Addr().Interface().(*model.Registration)
	for _, item := range v.Items {
		c := new(model.Check)
		if err := d.object(d.tables.catalogCheck, at, item, reflect.ValueOf(c).Elem()); err != nil {
			return err
		}
		reg.Checks = append(reg.Checks, c)
	}
	return nil
}

// refusePeer takes an empty PeerName. Instances of a peer are imported by servers, never registered.
func refusePeer(d *decoder, at string, g tree.Group, _ reflect.Value) error {
	if v := g.Values[len(g.Values)-1]; v.Kind == tree.String && v.Text != "" {
		return fault.New(fault.Invalid, "cannot register requests with PeerName in them").
			WithHint("leave out %s: what a peer exports is imported by the servers", at)
	}
	return nil
}

// onlyDefault takes the one name that the community edition has, and drops it.
func onlyDefault(feature string) customDecoder {
	return func(d *decoder, at string, g tree.Group, _ reflect.Value) error {
		v := g.Values[len(g.Values)-1]
		if v.Kind == tree.Null || v.Kind == tree.String && (v.Text == "" || v.Text == "default") {
			return nil
		}
		text := fmt.Sprintf("%s %q - %s are a Consul Enterprise feature", at, v.Text, feature)
		if d.file {
			return &tree.Error{Pos: v.Pos, Reason: text}
		}
		return fault.New(fault.BadRequest, "%s", text)
	}
}
