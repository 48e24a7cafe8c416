package definition

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
)

// decoder walks one text. file selects the spelling of files; edition adds the hint that a refused Namespace or
// Partition is an enterprise feature, which the catalog's bodies carry and the agent's do not.
type decoder struct {
	tables  *shapes
	file    bool
	edition bool
}

// object decodes v into target by the table s. path is the dotted key that leads to it.
func (d *decoder) object(s *shape, path string, v *tree.Value, target reflect.Value) error {
	if v.Kind == tree.Null {
		return nil
	}
	if v.Kind != tree.Object {
		return d.mismatch(path, v, "an object", target.Type().String())
	}
	if s.before != nil {
		s.before(target)
	}
	has := map[string]bool{}
	for _, g := range v.Groups() {
		f := s.fields[strings.ToLower(g.Key)]
		if f == nil || d.file && !d.takes(f, g.Key) {
			return d.unknown(s, path, g)
		}
		if err := d.field(f, join(path, g.Key), g, target); err != nil {
			return err
		}
		if d.file && has[f.name] {
			return &tree.Error{Pos: g.Pos, Path: join(path, g.Key), Reason: "the key is given twice, in two spellings; keep one"}
		}
		has[f.name] = true
	}
	if s.finish != nil {
		s.finish(target, has)
	}
	return nil
}

// takes tells whether files spell f so. They take snake_case in any case, and a few API names of old.
func (d *decoder) takes(f *field, key string) bool {
	if f.apiOnly {
		return false
	}
	key = strings.ToLower(key)
	if key == Snake(f.name) || slices.Contains(squashed, key) {
		return true
	}
	for _, other := range otherSpellings[f.name] {
		if key == Snake(other) {
			return true
		}
	}
	return false
}

func (d *decoder) field(f *field, path string, g tree.Group, target reflect.Value) error {
	if f.custom != nil {
		return f.custom(d, path, g, target)
	}
	if f.path == nil {
		return nil
	}
	return d.group(path, g, target.FieldByIndex(f.path))
}

// group decodes all occurrences of a key into target: blocks of a list append, blocks of an object add up,
// anything else counts once. The API takes the last of several, as encoding/json does.
func (d *decoder) group(path string, g tree.Group, target reflect.Value) error {
	if len(g.Values) == 1 || !d.file {
		for _, v := range g.Values {
			if err := d.value(path, v, target); err != nil {
				return err
			}
		}
		return nil
	}
	v, err := fold(path, g, target.Kind() == reflect.Slice)
	if err != nil {
		return err
	}
	return d.value(path, v, target)
}

// fold makes one value of several occurrences of a key in a file.
func fold(path string, g tree.Group, list bool) (*tree.Value, error) {
	all := &tree.Value{Kind: tree.Object, Pos: g.Values[0].Pos}
	if list {
		all.Kind = tree.List
	}
	for _, v := range g.Values {
		switch {
		case v.Kind == tree.Object && list:
			all.Items = append(all.Items, v)
		case v.Kind == tree.Object:
			all.Fields = append(all.Fields, v.Fields...)
		default:
			return nil, &tree.Error{Pos: g.Last, Path: path, Reason: "the key is given twice; keep one"}
		}
	}
	return all, nil
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[model.Secret]()
)

// FileValue decodes what a file says under one key into target, by target's type: strings, booleans, numbers,
// time.Duration, model.Secret, lists and maps of them, map[string]any, and pointers to these. Errors are of type *tree.Error.
func FileValue(path string, g tree.Group, target reflect.Value) error {
	return (&decoder{tables: tables(), file: true}).group(path, g, target)
}

// value decodes v into target by target's type. Null leaves the zero value.
func (d *decoder) value(path string, v *tree.Value, target reflect.Value) error {
	if v.Kind == tree.Null {
		target.SetZero()
		return nil
	}
	switch target.Type() {
	case durationType:
		return d.duration(path, v, target)
	case secretType:
		if v.Kind != tree.String {
			return d.mismatch(path, v, "a string", "string")
		}
		target.Set(reflect.ValueOf(model.NewSecret(v.Text)))
		return nil
	}
	switch target.Kind() {
	case reflect.String:
		if v.Kind != tree.String {
			return d.mismatch(path, v, "a string", "string")
		}
		target.SetString(v.Text)
	case reflect.Bool:
		if v.Kind != tree.Bool {
			return d.mismatch(path, v, "true or false", "bool")
		}
		target.SetBool(v.Bool)
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return d.whole(path, v, target)
	case reflect.Float64:
		f, err := strconv.ParseFloat(v.Text, 64)
		if v.Kind != tree.Number || err != nil {
			return d.mismatch(path, v, "a number", "float64")
		}
		target.SetFloat(f)
	case reflect.Slice:
		return d.list(path, v, target)
	case reflect.Map:
		return d.dictionary(path, v, target)
	case reflect.Pointer:
		fresh := reflect.New(target.Type().Elem())
		if err := d.value(path, v, fresh.Elem()); err != nil {
			return err
		}
		target.Set(fresh)
	case reflect.Struct:
		if d.file {
			v = single(v)
		}
		s := d.tables.byType[target.Type()]
		if s == nil {
			return fmt.Errorf("definition: no table for %s", target.Type())
		}
		return d.object(s, path, v, target)
	default:
		return fmt.Errorf("definition: no decoder for %s", target.Type())
	}
	return nil
}

// single unwraps a list of one object: in HCL and in JSON made from it the two are the same.
func single(v *tree.Value) *tree.Value {
	if v.Kind == tree.List && len(v.Items) == 1 && v.Items[0].Kind == tree.Object {
		return v.Items[0]
	}
	return v
}

func (d *decoder) whole(path string, v *tree.Value, target reflect.Value) error {
	if v.Kind != tree.Number {
		return d.mismatch(path, v, "a number", "int")
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if err == nil && target.Kind() == reflect.Int64 {
		target.SetInt(n)
		return nil
	}
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		return d.mismatch(path, v, "a whole number of 32 bits", "int")
	}
	if target.Kind() == reflect.Uint64 {
		if n < 0 {
			return d.mismatch(path, v, "a number of 0 or more", "uint64")
		}
		target.SetUint(uint64(n))
		return nil
	}
	target.SetInt(n)
	return nil
}

func (d *decoder) duration(path string, v *tree.Value, target reflect.Value) error {
	switch {
	case v.Kind == tree.String && v.Text == "":
		target.SetInt(0)
	case v.Kind == tree.String:
		length, err := time.ParseDuration(v.Text)
		if err != nil && d.file {
			return &tree.Error{Pos: v.Pos, Path: path, Reason: fmt.Sprintf("%q is not a duration; write it like \"10s\" or \"1m30s\"", v.Text)}
		}
		if err != nil {
			return err
		}
		target.SetInt(int64(length))
	case v.Kind == tree.Number && !d.file:
		// Clients written in other languages send nanoseconds, some of them as floats.
		ns, err := strconv.ParseFloat(v.Text, 64)
		if err != nil || math.Abs(ns) >= math.MaxInt64 {
			return d.mismatch(path, v, "", "time.Duration")
		}
		if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
			target.SetInt(n)
		} else {
			target.SetInt(int64(ns))
		}
	default:
		return d.mismatch(path, v, `a duration in quotes, like "10s"`, "time.Duration")
	}
	return nil
}

func (d *decoder) list(path string, v *tree.Value, target reflect.Value) error {
	items := v.Items
	if elem := target.Type().Elem().Kind(); d.file && v.Kind == tree.Object && (elem == reflect.Struct || elem == reflect.Map) {
		items = []*tree.Value{v}
	} else if v.Kind != tree.List {
		return d.mismatch(path, v, "a list", target.Type().String())
	}
	out := reflect.MakeSlice(target.Type(), len(items), len(items))
	for i, item := range items {
		if item.Kind == tree.Null && out.Index(i).Kind() != reflect.String {
			return d.mismatch(path, item, "no null in the list", target.Type().Elem().String())
		}
		if err := d.value(path, item, out.Index(i)); err != nil {
			return err
		}
	}
	target.Set(out)
	return nil
}

func (d *decoder) dictionary(path string, v *tree.Value, target reflect.Value) error {
	if d.file {
		v = single(v)
	}
	if v.Kind != tree.Object {
		return d.mismatch(path, v, "an object", target.Type().String())
	}
	elem := target.Type().Elem()
	if elem.Kind() == reflect.Interface {
		opaque, err := v.OpaqueMap(path)
		if err != nil {
			return err
		}
		target.Set(reflect.ValueOf(opaque))
		return nil
	}
	out := reflect.MakeMapWithSize(target.Type(), len(v.Fields))
	for _, g := range v.Groups() {
		entry := reflect.New(elem).Elem()
		if err := d.group(join(path, g.Key), g, entry); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(g.Key).Convert(target.Type().Key()), entry)
	}
	target.Set(out)
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// mismatch is a value of the wrong type: in the words of encoding/json for the API, with what to write for files.
func (d *decoder) mismatch(path string, v *tree.Value, want, goType string) error {
	if d.file {
		got := v.Kind.String()
		if v.Text != "" {
			got += " " + strconv.Quote(v.Text)
		}
		return &tree.Error{Pos: v.Pos, Path: path, Reason: "expected " + want + ", got " + got}
	}
	got := v.Kind.String()
	if v.Kind == tree.Number && v.Text != "" && goType == "int" {
		got += " " + v.Text
	}
	if path == "" {
		return fmt.Errorf("json: cannot unmarshal %s into Go value of type %s", got, goType)
	}
	return fmt.Errorf("json: cannot unmarshal %s into Go struct field .%s of type %s", got, path, goType)
}

func (d *decoder) unknown(s *shape, path string, g tree.Group) error {
	if !d.file {
		text := "json: unknown field " + strconv.Quote(g.Key)
		if d.edition && (g.Key == "Namespace" || g.Key == "Partition") {
			text += " - " + g.Key + "s are a Consul Enterprise feature"
		}
		return errors.New(text)
	}
	reason := "invalid config key " + join(path, g.Key)
	if near, ok := tree.Nearest(g.Key, s.files); ok {
		reason += fmt.Sprintf("; did you mean %q?", near)
	}
	return &tree.Error{Pos: g.Pos, Reason: reason}
}
