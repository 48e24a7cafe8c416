package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/cli"
)

// The exit codes that have a meaning of their own; every other failure is exitFailure.
const (
	exitFailure        = 1
	exitUnknownCommand = 127
)

// Run runs one command line and returns the exit code for the process. args[0] is the name under which the program
// was started: "consul" has help and hints speak of "consul", anything else of "lictor"; behaviour is the same.
func Run(args []string) int {
	sh := &shell{program: programName(args), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	return sh.run(args[min(1, len(args)):])
}

func programName(args []string) string {
	if len(args) > 0 && strings.TrimSuffix(filepath.Base(args[0]), ".exe") == "consul" {
		return "consul"
	}
	return "lictor"
}

// shell is all that a command has of the process around it.
type shell struct {
	program        string
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

// env reads a setting of the environment: LICTOR_<name> first, then CONSUL_<name>.
func (sh *shell) env(name string) string {
	if v := sh.getenv("LICTOR_" + name); v != "" {
		return v
	}
	return sh.getenv("CONSUL_" + name)
}

func (sh *shell) run(args []string) int {
	app := &cli.CLI{
		Name:         sh.program,
		Args:         args,
		Commands:     make(map[string]cli.CommandFactory),
		HelpFunc:     sh.overview,
		HelpWriter:   sh.stdout,
		ErrorWriter:  sh.stderr,
		Autocomplete: true,
	}
	for _, c := range commands(sh) {
		app.Commands[c.name] = func() (cli.Command, error) { return c, nil }
	}
	if app.IsVersion() {
		// The library would print a fixed string; the command prints the same as "version" does.
		app = &cli.CLI{Name: app.Name, Args: []string{"version"}, Commands: app.Commands,
			HelpWriter: app.HelpWriter, ErrorWriter: app.ErrorWriter}
	}
	code, err := app.Run()
	if err != nil {
		fmt.Fprintf(sh.stderr, "Error executing CLI: %v\n", err)
		return exitFailure
	}
	if code == exitUnknownCommand && app.Commands[app.Subcommand()] == nil {
		sh.hintUnknownCommand(args)
	}
	return code
}

// overview renders the help of the program itself.
func (sh *shell) overview(subs map[string]cli.CommandFactory) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n", sh.program)
	var rows [][]string
	for _, c := range commands(sh) {
		if _, shown := subs[c.name]; shown {
			rows = append(rows, []string{"    " + c.name, c.synopsis})
		}
	}
	b.WriteString(columns(rows))
	return b.String()
}

// hintUnknownCommand adds the line that names what was not understood; the help before it is what Consul prints.
func (sh *shell) hintUnknownCommand(args []string) {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		var names []string
		for _, c := range commands(sh) {
			if !strings.Contains(c.name, " ") {
				names = append(names, c.name)
			}
		}
		text := fmt.Sprintf("%q is not a command of %s", arg, sh.program)
		if near := nearest(arg, names); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		fmt.Fprintln(sh.stderr, "Hint: "+text)
		return
	}
}
