package config

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Files is where configuration is read from.
type Files interface {
	// ReadFile returns the content of a file.
	ReadFile(name string) ([]byte, error)
	// ReadDir returns the entries of a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
}

// Host answers what depends on the machine.
type Host interface {
	Hostname() (string, error)
	// PrivateIPv4 and PublicIPv6 are the addresses of this host's interfaces that could be advertised.
	PrivateIPv4() ([]netip.Addr, error)
	PublicIPv6() ([]netip.Addr, error)
	// Expand evaluates a go-sockaddr template like {{ GetPrivateIP }}.
	Expand(template string) (string, error)
}

// Sources are all that a configuration is made from.
type Sources struct {
	Flags *Flags
	// Env looks up an environment variable; "" is unset.
	Env   func(name string) string
	Files Files
	Host  Host
}

// Load makes the configuration. Warnings are whole lines for the log. An error is one line of kind fault.Invalid that names
// what is wrong where, and there is no configuration then.
func Load(from Sources) (*Config, []string, error) {
	b, err := newBuilder()
	if err != nil {
		return nil, nil, err
	}
	if err := b.sources(from); err != nil {
		return nil, b.warnings, err
	}
	if err := b.resolve(from.Host); err != nil {
		return nil, b.warnings, err
	}
	if err := b.validate(); err != nil {
		return nil, b.warnings, err
	}
	b.c.NoEffect = b.withoutEffect()
	return b.c, b.warnings, nil
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, format, args...)
}

// sources applies everything in the order in which the later wins.
func (b *builder) sources(from Sources) error {
	if from.Flags.Dev {
		if err := b.dev(); err != nil {
			return err
		}
	}
	b.environment(from.Env)
	if err := from.Flags.apply(b, true); err != nil {
		return err
	}
	if f := from.Flags.Format; f != "" && f != "hcl" && f != "json" {
		return invalid("-config-format: %q is unknown; use hcl or json", f)
	}
	for _, s := range from.Flags.sources {
		var err error
		if s.dir {
			err = b.readDir(from.Files, s.path)
		} else {
			err = b.readFile(from.Files, s.path, from.Flags.Format)
		}
		if err != nil {
			return err
		}
	}
	if err := from.Flags.apply(b, false); err != nil {
		return err
	}
	for _, text := range from.Flags.Fragments {
		if err := b.text("-hcl", "hcl", []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// environment sets the options that have a variable: LICTOR_X, else CONSUL_X.
func (b *builder) environment(env func(string) string) {
	for i := range options().options {
		o := &options().options[i]
		if o.Env == "" || env == nil {
			continue
		}
		for _, prefix := range []string{"LICTOR_", "CONSUL_"} {
			if text := env(prefix + o.Env); text != "" {
				if err := setText(o.at(b.c), text); err != nil {
					b.warn("%s%s: %v", prefix, o.Env, err)
				} else {
					b.note(o, prefix+o.Env)
				}
				break
			}
		}
	}
}

func (b *builder) readDir(files Files, dir string) error {
	entries, err := files.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		b.warn("-config-dir %s does not exist; nothing is read from it", dir)
		return nil
	}
	if err != nil {
		return invalid("-config-dir %s cannot be read: %v", dir, reason(err))
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if entry.IsDir() {
			continue
		}
		if format(path) == "" {
			b.warn("%s is skipped; only .hcl and .json files of a -config-dir are read", path)
			continue
		}
		if err := b.readFile(files, path, ""); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) readFile(files Files, path, forced string) error {
	kind := forced
	if kind == "" {
		kind = format(path)
	}
	if kind == "" {
		return invalid("-config-file %s: unknown extension; name it .hcl or .json, or set -config-format", path)
	}
	src, err := files.ReadFile(path)
	if err != nil {
		return invalid("config file %s cannot be read: %v", path, reason(err))
	}
	return b.text(path, kind, src)
}

// reason drops operation and path of a file error, which the message has named.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func format(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".hcl":
		return "hcl"
	case ".json":
		return "json"
	}
	return ""
}

func (b *builder) text(name, kind string, src []byte) error {
	v, err := Parse(kind, src)
	if err == nil {
		err = b.file(name, v)
	}
	var at *tree.Error
	if errors.As(err, &at) {
		return invalid("failed to parse %s", at.In(name))
	}
	if err != nil {
		return invalid("failed to parse %s: %v", name, err)
	}
	return nil
}

// Parse reads a text of the format hcl or json, with or without a byte order mark. Errors are of type *tree.Error.
func Parse(format string, src []byte) (*tree.Value, error) {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if format == "json" {
		return tree.ParseJSONFile(src)
	}
	return tree.ParseHCL(src)
}

// withoutEffect names the options that were set to something else than their default, and do nothing.
func (b *builder) withoutEffect() []string {
	defaults, err := newBuilder()
	if err != nil {
		return nil
	}
	var keys []string
	for i := range options().options {
		o := &options().options[i]
		if !b.set[o.Key] || o.Effect == Effective || o.Effect == Moot {
			continue
		}
		if v := o.at(b.c); off(v) && strings.HasPrefix(o.Key, "ports.") {
			continue // what has no effect yet is off as it was told to be
		}
		if !reflect.DeepEqual(o.at(b.c).Interface(), o.at(defaults.c).Interface()) {
			keys = append(keys, o.Key)
		}
	}
	sort.Strings(keys)
	return keys
}

// off tells whether a port is set to none.
func off(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	return v.Kind() == reflect.Int && v.Int() <= 0
}
