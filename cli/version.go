package cli

import (
	"encoding/json"
	"fmt"

	"github.com/lictor-mesh/lictor/version"
)

// versionReport is "version -format=json": Consul's fields as its clients parse them, ours beside them.
type versionReport struct {
	Version    string
	Revision   string
	Prerelease string
	BuildDate  string
	RPC        struct{ Default, Min, Max int }
	Lictor     struct{ Version, Prerelease string }
}

func versionCommand(sh *shell) *command {
	c := newCommand(sh, "version", "[options]", "Print the version")
	c.text = `Prints the version of Consul whose behaviour this program follows, which is what clients parse, and on the second line ` +
		`Lictor's own.`
	c.example = "version -format=json"
	var format string
	c.flags.StringVar(&format, "format", "pretty", "Output format: pretty or json.")
	c.run = func([]string) error {
		switch format {
		case "pretty":
			fmt.Fprintf(sh.stdout, "Consul v%s\nLictor v%s\n", version.Compat, version.Own())
			if rev := version.Revision(); rev != "" {
				fmt.Fprintf(sh.stdout, "Revision %s\n", rev)
			}
			fmt.Fprintf(sh.stdout, "Build Date %s\nProtocol %d spoken by default, understands %d to %d "+
				"(agent will automatically use protocol >%d when speaking to compatible agents)\n\n",
				version.BuildDate(), version.ProtocolDefault, version.ProtocolMin, version.ProtocolMax, version.ProtocolDefault)
			return nil
		case "json":
			return printVersionJSON(sh)
		}
		return fmt.Errorf("Unknown format: %s", format)
	}
	return c
}

func printVersionJSON(sh *shell) error {
	r := versionReport{Version: version.Compat, Revision: version.Revision(), BuildDate: version.BuildDate()}
	r.RPC.Default, r.RPC.Min, r.RPC.Max = version.ProtocolDefault, version.ProtocolMin, version.ProtocolMax
	r.Lictor.Version, r.Lictor.Prerelease = version.Own(), version.Prerelease()
	text, err := json.MarshalIndent(r, "", "   ")
	if err != nil {
		return err
	}
	fmt.Fprintln(sh.stdout, string(text))
	return nil
}
