package config

import (
	"flag"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strings"
)

// Flags are the command-line flags of the agent as they were given. The zero value is no flags.
type Flags struct {
	// Dev is -dev: an agent that is its own server and keeps everything in memory.
	Dev bool
	// Fragments are the -hcl texts, applied after everything else.
	Fragments []string
	// Format is -config-format: hcl or json for every -config-file; empty is by extension.
	Format string

	sources []source
	values  []flagValue
}

// source is a -config-file or a -config-dir, in the order of the command line.
type source struct {
	path string
	dir  bool
}

type flagValue struct {
	option *Option
	text   string
}

// special are the flags that set no option.
var special = []struct{ name, help string }{
	{"config-dir", "Directory whose .hcl and .json files to read, in lexical order; repeatable"},
	{"config-file", "File to read, .hcl or .json; repeatable"},
	{"config-format", "Format of all -config-file: hcl or json"},
	{"dev", "Run a server in memory on loopback, for trying things out"},
	{"hcl", "Configuration text, applied after files and flags; repeatable"},
}

// Bind declares all flags of the agent on fs. The package flag takes -name and --name alike.
func (f *Flags) Bind(fs *flag.FlagSet) {
	help := func(name string) string {
		for _, s := range special {
			if s.name == name {
				return s.help
			}
		}
		return ""
	}
	fs.BoolVar(&f.Dev, "dev", false, help("dev"))
	fs.StringVar(&f.Format, "config-format", "", help("config-format"))
	fs.Func("hcl", help("hcl"), func(text string) error { f.Fragments = append(f.Fragments, text); return nil })
	fs.Func("config-file", help("config-file"), func(path string) error { return f.source(path, false) })
	fs.Func("config-dir", help("config-dir"), func(path string) error { return f.source(path, true) })
	for _, o := range options().flags {
		fs.Var(&optionFlag{flags: f, option: o}, o.Flag, o.Help)
	}
}

func (f *Flags) source(path string, dir bool) error {
	if path == "" {
		return fmt.Errorf("the path is empty")
	}
	f.sources = append(f.sources, source{path: path, dir: dir})
	return nil
}

// optionFlag is the flag.Value of an option. It checks the type at once, and keeps the text.
type optionFlag struct {
	flags  *Flags
	option *Option
}

// String implements flag.Value. A zero optionFlag is made by the flag package to compare defaults.
func (v *optionFlag) String() string {
	if v.option == nil {
		return ""
	}
	return v.option.Default
}

// Set implements flag.Value.
func (v *optionFlag) Set(text string) error {
	if err := setText(v.option.at(new(Config)), text); err != nil {
		return err
	}
	v.flags.values = append(v.flags.values, flagValue{v.option, text})
	return nil
}

// IsBoolFlag lets boolean flags stand without a value.
func (v *optionFlag) IsBoolFlag() bool { return v.option != nil && v.option.Type() == "bool" }

// apply sets the options that flags give: first those that are lists, since lists of files append to them, or the others.
func (f *Flags) apply(b *builder, lists bool) error {
	for _, v := range f.values {
		if v.option.isList() != lists {
			continue
		}
		if err := setText(v.option.at(b.c), v.text); err != nil {
			return invalid("-%s: %v", v.option.Flag, err)
		}
		b.note(v.option, "-"+v.option.Flag)
	}
	return nil
}

// Usage writes the help of all flags to w, in alphabetical order.
func Usage(w io.Writer) {
	lines := map[string]string{}
	for _, s := range special {
		value := "=<value>"
		if s.name == "dev" {
			value = ""
		}
		lines[s.name] = fmt.Sprintf("  -%s%s\n     %s\n", s.name, value, s.help)
	}
	for name, o := range options().flags {
		value := "=<" + o.Type() + ">"
		switch o.Type() {
		case "bool":
			value = ""
		case "list of strings":
			value = "=<string>"
		case "map":
			value = "=<key:value>"
		}
		lines[name] = fmt.Sprintf("  -%s%s\n     %s\n", name, value, o.words())
	}
	names := make([]string, 0, len(lines))
	for name := range lines {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintln(w, lines[name])
	}
}

// words is an option's help with what else one should know.
func (o *Option) words() string {
	var parts []string
	if o.Help != "" {
		parts = append(parts, o.Help+".")
	}
	if o.isList() || o.at(new(Config)).Kind() == reflect.Map {
		parts = append(parts, "Repeatable.")
	}
	if o.Default != "" && o.Default != "false" {
		parts = append(parts, "Default "+o.Default+".")
	}
	if o.Replacement != "" {
		parts = append(parts, "Deprecated: use "+o.Replacement+".")
	}
	switch o.Effect {
	case Pending:
		parts = append(parts, "No effect yet.")
	case Moot:
		parts = append(parts, "Always so.")
	}
	return strings.Join(parts, " ")
}

// devOverlay is what -dev sets before files and flags.
var devOverlay = []struct{ key, text string }{
	{"bind_addr", "127.0.0.1"}, {"server", "true"}, {"log_level", "DEBUG"}, {"enable_debug", "true"}, {"ui_config.enabled", "true"},
	{"disable_keyring_file", "true"}, {"disable_anonymous_signature", "true"}, {"disable_update_check", "true"},
	{"ports.grpc", "8502"}, {"ports.grpc_tls", "8503"}, {"performance.raft_multiplier", "1"},
	{"gossip_lan.gossip_interval", "100ms"}, {"gossip_lan.probe_interval", "100ms"}, {"gossip_lan.probe_timeout", "100ms"}, {"gossip_lan.suspicion_mult", "3"},
	{"gossip_wan.gossip_interval", "100ms"}, {"gossip_wan.probe_interval", "100ms"}, {"gossip_wan.probe_timeout", "100ms"}, {"gossip_wan.suspicion_mult", "3"},
}

func (b *builder) dev() error {
	b.c.DevMode = true
	for _, row := range devOverlay {
		for i := range options().options {
			if o := &options().options[i]; o.Key == row.key {
				if err := setText(o.at(b.c), row.text); err != nil {
					return fmt.Errorf("config: -dev: %s: %w", row.key, err)
				}
			}
		}
	}
	return nil
}
