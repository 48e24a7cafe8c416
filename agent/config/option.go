package config

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Effect tells what setting an option does.
type Effect string

// The effects.
const (
	// Effective options do what they say.
	Effective Effect = "yes"
	// Pending options are parsed and checked, and have no effect yet. The agent names those that are set in one warning.
	Pending Effect = "not yet"
	// Moot options ask for what is always so.
	Moot Effect = "always so"
	// Enterprise options mean something to Consul Enterprise only.
	Enterprise Effect = "enterprise"
)

// Option is one row of the table.
type Option struct {
	// Key is the dotted path in files.
	Key string
	// Flag is the command-line flag without dashes; empty for none.
	Flag string
	// Default is the value that stands when nobody sets it, as text; empty for none or for one that depends on others.
	Default string
	Help    string
	Effect  Effect
	// Reloadable tells that a reload applies a change; others need a restart.
	Reloadable bool
	// Replacement makes the option deprecated: the key to use in its place.
	Replacement string
	// Env is the environment variable without its LICTOR_ or CONSUL_ prefix.
	Env string
	// Shown is the name in the shown configuration; empty hides it.
	Shown string

	at func(*Config) reflect.Value
}

// Type names the type of the option's values, for documentation.
func (o *Option) Type() string {
	t := o.at(new(Config)).Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.String() {
	case "time.Duration":
		return "duration"
	case "model.Secret":
		return "secret"
	}
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return "list of strings"
		}
		return "list of blocks"
	case reflect.Map:
		return "map"
	case reflect.Float64:
		return "number"
	default:
		return t.Kind().String()
	}
}

// isList tells options whose values add up over sources.
func (o *Option) isList() bool { return o.at(new(Config)).Kind() == reflect.Slice }

// live declares an option with an effect, that fills a field.
func live[T any](key, def, help string, at func(*Config) *T) Option {
	return Option{Key: key, Default: def, Help: help, Effect: Effective,
		at: func(c *Config) reflect.Value { return reflect.ValueOf(at(c)).Elem() }}
}

// pending declares an option that is only parsed and kept.
func pending[T any](key, def, help string) Option {
	return Option{Key: key, Default: def, Help: help, Effect: Pending,
		at: func(c *Config) reflect.Value {
			if c.kept == nil {
				c.kept = map[string]any{}
			}
			if c.kept[key] == nil {
				c.kept[key] = new(T)
			}
			return reflect.ValueOf(c.kept[key]).Elem()
		}}
}

// enterprise declares options of the enterprise edition, of one type.
func enterprise[T any](keys ...string) []Option {
	var rows []Option
	for _, key := range keys {
		o := pending[T](key, "", "Consul Enterprise only")
		o.Effect = Enterprise
		rows = append(rows, o)
	}
	return rows
}

// all declares pending options of one type that need no more words than their key.
func all[T any](prefix string, keys string) []Option {
	var rows []Option
	for _, key := range strings.Fields(keys) {
		rows = append(rows, pending[T](prefix+key, "", ""))
	}
	return rows
}

func (o Option) flag(name string) Option     { o.Flag = name; return o }
func (o Option) reload() Option              { o.Reloadable = true; return o }
func (o Option) instead(key string) Option   { o.Replacement = key; return o }
func (o Option) environment(v string) Option { o.Env = v; return o }
func (o Option) shown(name string) Option    { o.Shown = name; return o }
func (o Option) effect(effect Effect) Option { o.Effect = effect; return o }

// table is the option table with what is looked up in it.
type table struct {
	options []Option
	root    *section
	flags   map[string]*Option
}

// section is an object of the file format: options and sections by key.
type section struct {
	options  map[string]*Option
	sections map[string]*section
}

func newSection() *section {
	return &section{options: map[string]*Option{}, sections: map[string]*section{}}
}

// keys are the spellings to suggest; deprecated ones are not.
func (s *section) keys() []string {
	var keys []string
	for k, o := range s.options {
		if o.Replacement == "" {
			keys = append(keys, k)
		}
	}
	for k := range s.sections {
		keys = append(keys, k)
	}
	return keys
}

var options = sync.OnceValue(buildTable)

// Options returns a copy of the table, in the order of the documentation.
func Options() []Option { return append([]Option(nil), options().options...) }

func buildTable() *table {
	t := &table{root: newSection(), flags: map[string]*Option{}}
	for _, rows := range [][]Option{
		nodeOptions(), portOptions(), gossipOptions(), aclOptions(), tlsOptions(), dnsOptions(), httpOptions(), limitOptions(), raftOptions(),
		registrationOptions(), logOptions(), uiOptions(), telemetryOptions(), connectOptions(), lictorOptions(), otherOptions(), deprecatedOptions(),
	} {
		t.options = append(t.options, rows...)
	}
	for i := range t.options {
		t.enter(&t.options[i])
	}
	return t
}

func (t *table) enter(o *Option) {
	at := t.root
	path := strings.Split(o.Key, ".")
	for _, key := range path[:len(path)-1] {
		if at.sections[key] == nil {
			at.sections[key] = newSection()
		}
		at = at.sections[key]
	}
	last := path[len(path)-1]
	if at.options[last] != nil || at.sections[last] != nil {
		panic(fmt.Sprintf("config: option %s is declared twice", o.Key))
	}
	at.options[last] = o
	if o.Flag != "" {
		if t.flags[o.Flag] != nil {
			panic(fmt.Sprintf("config: flag -%s is declared twice", o.Flag))
		}
		t.flags[o.Flag] = o
	}
}
