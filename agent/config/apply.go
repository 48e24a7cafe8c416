package config

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
)

// builder fills a Config source by source: scalars overwrite, maps merge by key, lists append.
type builder struct {
	c *Config
	// set holds the options that a user set, as opposed to defaults.
	set      map[string]bool
	warnings []string
}

func newBuilder() (*builder, error) {
	b := &builder{c: new(Config), set: map[string]bool{}}
	for i := range options().options {
		o := &options().options[i]
		// Every option has its place from here on, so that readers of a finished Config never make one.
		target := o.at(b.c)
		if o.Default == "" {
			continue
		}
		if err := setText(target, o.Default); err != nil {
			return nil, fmt.Errorf("config: default of %s: %w", o.Key, err)
		}
	}
	return b, nil
}

func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}

// file applies the object v of a file. Errors are of type *tree.Error.
func (b *builder) file(name string, v *tree.Value) error {
	return b.section(name, options().root, "", v)
}

func (b *builder) section(file string, s *section, path string, v *tree.Value) error {
	seen := map[string]tree.Pos{}
	for _, g := range v.Groups() {
		key := strings.ToLower(g.Key)
		at := join(path, key)
		if first, twice := seen[key]; twice {
			return &tree.Error{Pos: g.Pos, Path: at, Reason: fmt.Sprintf("the key is given twice, first in line %d; keep one", first.Line)}
		}
		seen[key] = g.Pos
		switch {
		case s.options[key] != nil:
			if err := b.option(file, s.options[key], g); err != nil {
				return err
			}
		case s.sections[key] != nil:
			for _, value := range g.Values {
				if err := b.sectionValue(file, s.sections[key], at, value); err != nil {
					return err
				}
			}
		default:
			return unknownKey(s, path, g)
		}
	}
	return nil
}

// sectionValue applies one block of a section. A list of one object is that object; null is nothing.
func (b *builder) sectionValue(file string, s *section, path string, v *tree.Value) error {
	if v.Kind == tree.List && len(v.Items) == 1 {
		v = v.Items[0]
	}
	switch v.Kind {
	case tree.Null:
		return nil
	case tree.Object:
		return b.section(file, s, path, v)
	default:
		return &tree.Error{Pos: v.Pos, Path: path, Reason: "expected a block like " + path + " { ... }, got " + v.Kind.String()}
	}
}

func unknownKey(s *section, path string, g tree.Group) error {
	keys := s.keys()
	sort.Strings(keys)
	reason := "invalid config key " + join(path, g.Key)
	if near, ok := tree.Nearest(g.Key, keys); ok {
		reason += fmt.Sprintf("; did you mean %q?", join(path, near))
	} else if home := elsewhere(g.Key); home != "" {
		reason += fmt.Sprintf("; did you mean %q?", home)
	}
	return &tree.Error{Pos: g.Pos, Reason: reason}
}

// elsewhere finds the key in another section: many are remembered without theirs.
func elsewhere(key string) string {
	for _, o := range options().options {
		if strings.HasSuffix(o.Key, "."+strings.ToLower(key)) && o.Replacement == "" {
			return o.Key
		}
	}
	return ""
}

func (b *builder) option(file string, o *Option, g tree.Group) error {
	if g.Values[0].Kind == tree.Null && len(g.Values) == 1 {
		return nil
	}
	target := o.at(b.c)
	var err error
	switch list := target.Addr().Interface().(type) {
	case *[]model.ServiceDefinition:
		err = eachBlock(o.Key, g, func(v *tree.Value) error {
			def, err := definition.ServiceFromFile(o.Key, v)
			if err == nil {
				*list = append(*list, *def)
			}
			return b.checkService(v, def, err)
		})
	case *[]model.CheckDefinition:
		err = eachBlock(o.Key, g, func(v *tree.Value) error {
			def, err := definition.CheckFromFile(o.Key, v)
			if err == nil {
				*list = append(*list, *def)
			}
			return checkCheck(v, def, err)
		})
	default:
		fresh := reflect.New(target.Type()).Elem()
		if err = definition.FileValue(o.Key, g, fresh); err == nil {
			merge(target, fresh)
		}
	}
	if err != nil {
		return err
	}
	b.note(o, file)
	return nil
}

// checkService refuses a service that could not be registered where it stands in the file.
func (b *builder) checkService(v *tree.Value, def *model.ServiceDefinition, err error) error {
	if err != nil {
		return err
	}
	if err := definition.ValidateService(def); err != nil {
		return &tree.Error{Pos: v.Pos, Path: "service " + strconv.Quote(string(def.Service.Service)), Reason: oneLine(err.Error())}
	}
	if _, err := definition.Sidecar(def, func(model.ServiceID) (int, bool) { return 1, true }); err != nil {
		return &tree.Error{Pos: v.Pos, Path: "sidecar of service " + strconv.Quote(string(def.Service.Service)), Reason: oneLine(err.Error())}
	}
	if problems := definition.Problems(def); len(problems) > 0 {
		return &tree.Error{Pos: v.Pos, Path: "service", Reason: problems[0]}
	}
	return nil
}

func checkCheck(v *tree.Value, def *model.CheckDefinition, err error) error {
	if err != nil {
		return err
	}
	if err := definition.ValidateCheck(def); err != nil {
		return &tree.Error{Pos: v.Pos, Path: "check " + strconv.Quote(def.Name), Reason: oneLine(err.Error())}
	}
	return nil
}

// oneLine folds a list of errors into one line.
func oneLine(text string) string {
	head, list, _ := strings.Cut(text, "\n\t* ")
	return strings.TrimSpace(head + " " + strings.ReplaceAll(strings.TrimSpace(list), "\n\t* ", "; "))
}

// eachBlock visits all objects that a key of a list of blocks has.
func eachBlock(path string, g tree.Group, visit func(*tree.Value) error) error {
	for _, v := range g.Values {
		items := []*tree.Value{v}
		if v.Kind == tree.List {
			items = v.Items
		}
		for _, item := range items {
			if item.Kind != tree.Object {
				return &tree.Error{Pos: item.Pos, Path: path, Reason: "expected a block like " + path + " { ... }, got " + item.Kind.String()}
			}
			if err := visit(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// note records that a user set o, and warns of deprecated names.
func (b *builder) note(o *Option, where string) {
	b.set[o.Key] = true
	if o.Replacement != "" {
		b.warn("%s: %s is deprecated; use %s", where, o.Key, o.Replacement)
	}
}

func merge(target, fresh reflect.Value) {
	switch target.Kind() {
	case reflect.Slice:
		target.Set(reflect.AppendSlice(target, fresh))
	case reflect.Map:
		if target.IsNil() {
			target.Set(fresh)
			return
		}
		for _, key := range fresh.MapKeys() {
			target.SetMapIndex(key, fresh.MapIndex(key))
		}
	default:
		target.Set(fresh)
	}
}

// setText sets target from the text of a flag, a default or an environment variable.
func setText(target reflect.Value, text string) error {
	if target.Kind() == reflect.Pointer {
		fresh := reflect.New(target.Type().Elem())
		if err := setText(fresh.Elem(), text); err != nil {
			return err
		}
		target.Set(fresh)
		return nil
	}
	switch field := target.Addr().Interface().(type) {
	case *time.Duration:
		length, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write it like 10s or 1m30s", text)
		}
		*field = length
		return nil
	case *model.Secret:
		*field = model.NewSecret(text)
		return nil
	case *[]string:
		*field = append(*field, text)
		return nil
	case *map[string]string:
		key, value, ok := strings.Cut(text, ":")
		if !ok {
			return fmt.Errorf("%q is not of the form key:value", text)
		}
		merge(target, reflect.ValueOf(map[string]string{key: value}))
		return nil
	}
	return setScalar(target, text)
}

func setScalar(target reflect.Value, text string) error {
	switch target.Kind() {
	case reflect.String:
		target.SetString(text)
	case reflect.Bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		target.SetBool(on)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || target.OverflowInt(n) {
			return fmt.Errorf("%q is not a whole number", text)
		}
		target.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		target.SetFloat(f)
	default:
		return fmt.Errorf("cannot be set from text")
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func compareKeys(a, b string) int { return strings.Compare(a, b) }
