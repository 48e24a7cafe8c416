package config

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the reference of all options to w: one table for each top-level section.
func Markdown(w io.Writer) {
	fmt.Fprint(w, `# Configuration

Files are HCL or JSON. Flags win over files, later files over earlier ones; maps are merged and lists are appended.
This page is generated from the table of options (`+"`go test ./agent/config -run Docs -update`"+`).

| Key | Flag | Type | Default | Reload | Effect | |
|---|---|---|---|---|---|---|
`)
	for _, o := range Options() {
		flag, reload := "", ""
		if o.Flag != "" {
			flag = "`-" + o.Flag + "`"
		}
		if o.Reloadable {
			reload = "yes"
		}
		help := o.Help
		if o.Replacement != "" {
			help = strings.TrimSpace(help + " Deprecated: use `" + o.Replacement + "`")
		}
		def := o.Default
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s | %s | %s |\n", o.Key, flag, o.Type(), def, reload, o.Effect, strings.ReplaceAll(help, "|", `\|`))
	}
}
