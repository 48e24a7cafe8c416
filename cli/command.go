package cli

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/cli"
	"github.com/posener/complete"
)

// command is one entry of the command list: what the parser, the help and the generated pages need of it.
type command struct {
	sh       *shell
	name     string   // words after the program's name, e.g. "catalog nodes"
	synopsis string   // one line for lists
	usage    []string // what follows "Usage: <program> ", one element per form
	text     string   // what it does, in paragraphs separated by a blank line
	example  string   // one line that works as it stands, without the program's name
	flags    *flag.FlagSet
	shared   map[string]bool           // the flags that say how to reach the agent
	run      func(args []string) error // nil for a group of commands
	rest     bool                      // the command line after "--" is another program's
}

// newCommand returns a command without flags. form is what follows the name in the usage line.
func newCommand(sh *shell, name, form, synopsis string) *command {
	c := &command{sh: sh, name: name, synopsis: synopsis, usage: []string{strings.TrimSpace(name + " " + form)},
		flags: flag.NewFlagSet("", flag.ContinueOnError), shared: make(map[string]bool)}
	// Parse would print by itself; flagError words it instead.
	c.flags.SetOutput(io.Discard)
	c.flags.Usage = func() {}
	return c
}

// Run implements cli.Command.
func (c *command) Run(args []string) int {
	if c.run == nil {
		return cli.RunResultHelp
	}
	if err := c.flags.Parse(args); err != nil {
		return c.flagError(args, err)
	}
	if n := c.flags.NArg(); c.rest && n > 0 && !endsFlags(args, n) {
		err := fmt.Errorf("Unexpected extra arguments: %v", c.flags.Args())
		return c.report(withHint(err, `put "--" before the command to run`))
	}
	return c.report(c.run(c.flags.Args()))
}

// endsFlags tells whether the n last args follow a "--".
func endsFlags(args []string, n int) bool {
	i := len(args) - n - 1
	return i >= 0 && args[i] == "--"
}

// flagError reports a flag that does not exist or does not parse: the fault first, the flags of the command as Consul
// prints them, and last the fix, where a terminal shows it.
func (c *command) flagError(args []string, err error) int {
	fmt.Fprintf(c.sh.stderr, "%v\nUsage:\n%s", err, c.flagHelp())
	hint := fmt.Sprintf("%q lists the flags", c.sh.program+" "+c.name+" -h")
	// Parse stops right behind the flag it could not take.
	// What has no dash there is the value that it refused.
	if i := len(args) - c.flags.NArg() - 1; i >= 0 && strings.HasPrefix(args[i], "-") {
		name, _, _ := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if c.flags.Lookup(name) == nil {
			var names []string
			c.flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
			if near := nearest(name, names); near != "" {
				hint = fmt.Sprintf("did you mean -%s? %s", near, hint)
			}
			hint = fmt.Sprintf("%q has no flag -%s; %s", c.sh.program+" "+c.name, name, hint)
		}
	}
	fmt.Fprintf(c.sh.stderr, "Hint: %s\n", hint)
	return exitFailure
}

// Synopsis implements cli.Command.
func (c *command) Synopsis() string { return c.synopsis }

// Help implements cli.Command.
func (c *command) Help() string {
	var b strings.Builder
	for _, u := range c.usage {
		fmt.Fprintf(&b, "Usage: %s %s\n", c.sh.program, u)
	}
	for _, p := range strings.Split(strings.TrimSpace(c.text), "\n\n") {
		fmt.Fprintf(&b, "\n%s\n", wrap(p, "  "))
	}
	if c.example != "" {
		fmt.Fprintf(&b, "\n  Example:\n\n      $ %s %s\n", c.sh.program, c.example)
	}
	if flags := c.flagHelp(); flags != "" {
		fmt.Fprintf(&b, "\n%s", flags)
	}
	return strings.TrimRight(b.String(), "\n")
}

func (c *command) flagHelp() string {
	var b strings.Builder
	for _, g := range c.flagGroups() {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n", g.title)
		for _, f := range g.flags {
			fmt.Fprintf(&b, "\n  %s\n%s\n", f.spelling(), wrap(f.usage, "      "))
		}
	}
	return b.String()
}

// shownFlag is a flag as help and the generated pages show it.
type shownFlag struct{ name, placeholder, usage string }

func (f shownFlag) spelling() string {
	if f.placeholder == "" {
		return "-" + f.name
	}
	return fmt.Sprintf("-%s=<%s>", f.name, f.placeholder)
}

// flagGroup is the flags that help shows under one title, in alphabetical order.
type flagGroup struct {
	title string
	flags []shownFlag
}

// flagGroups returns the shared flags, then the command's own; a group without flags is left out.
func (c *command) flagGroups() []flagGroup {
	shared, own := flagGroup{title: "HTTP API Options"}, flagGroup{title: "Command Options"}
	c.flags.VisitAll(func(f *flag.Flag) { // in alphabetical order
		placeholder, usage := flag.UnquoteUsage(f)
		g := &own
		if c.shared[f.Name] {
			g = &shared
		}
		g.flags = append(g.flags, shownFlag{f.Name, placeholder, usage})
	})
	return slices.DeleteFunc([]flagGroup{shared, own}, func(g flagGroup) bool { return len(g.flags) == 0 })
}

// AutocompleteFlags implements cli.CommandAutocomplete.
func (c *command) AutocompleteFlags() complete.Flags {
	out := make(complete.Flags)
	for _, g := range c.flagGroups() {
		for _, f := range g.flags {
			switch {
			case f.placeholder == "":
				out["-"+f.name] = complete.PredictNothing
			case strings.HasSuffix(f.name, "-file"):
				out["-"+f.name] = complete.PredictFiles("*")
			default:
				out["-"+f.name] = complete.PredictAnything
			}
		}
	}
	return out
}

// AutocompleteArgs implements cli.CommandAutocomplete.
func (c *command) AutocompleteArgs() complete.Predictor { return complete.PredictFiles("*") }
