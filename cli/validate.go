package cli

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/lictor-mesh/lictor/agent/config"
)

func validate(sh *shell) *command {
	c := newCommand(sh, "validate", "[options] FILE_OR_DIRECTORY...", "Check an agent's configuration files")
	c.text = `Reads configuration files as the agent would, in the given order, and says whether it would start with them. Nothing is ` +
		`started and no agent is asked.`
	c.example = "validate /etc/lictor.d"
	var format string
	var quiet bool
	c.flags.StringVar(&format, "config-format", "", "Format of all files: hcl or json; by their extension otherwise.")
	c.flags.BoolVar(&quiet, "quiet", false, "Print nothing when the configuration is valid.")
	c.run = func(paths []string) error {
		if len(paths) == 0 {
			return errors.New("Must specify at least one config file or directory")
		}
		from, err := configSources(paths, format)
		if err != nil {
			return fmt.Errorf("Config validation failed: %w", err)
		}
		from.Env = sh.getenv
		_, warnings, err := config.Load(from)
		if err != nil {
			return fmt.Errorf("Config validation failed: %w", err)
		}
		if quiet {
			return nil
		}
		for _, w := range warnings {
			fmt.Fprintln(sh.stderr, w)
		}
		fmt.Fprintln(sh.stdout, "Configuration is valid!")
		return nil
	}
	return c
}

// configSources is what an agent started with paths as its files and directories would read.
func configSources(paths []string, format string) (config.Sources, error) {
	given := new(config.Flags)
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	given.Bind(fs)
	given.Format = format
	for _, path := range paths {
		name := "config-file"
		if stat, err := os.Stat(path); err == nil && stat.IsDir() {
			name = "config-dir"
		}
		if err := fs.Set(name, path); err != nil {
			return config.Sources{}, err
		}
	}
	return config.System(given), nil
}
