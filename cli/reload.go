package cli

import (
	"encoding/json"
	"fmt"
)

// reloadHeader is the response header in which an agent says what a reload did; the body stays empty, as recorded.
const reloadHeader = "X-Lictor-Reload"

// reloadReport is the value of reloadHeader: configuration keys, and what each came to.
type reloadReport struct {
	Applied      []string `json:"applied"`
	NeedsRestart []string `json:"needs_restart"`
	Rejected     []string `json:"rejected"`
}

func reload(sh *shell) *command {
	c := newCommand(sh, "reload", "", "Have the agent read its configuration again")
	c.text = `Has the agent read its configuration files again, and prints what was applied, what needs a restart and what was ` +
		`rejected. A file with a fault changes nothing.`
	c.example = "reload"
	cl := c.client()
	c.run = func([]string) error {
		if err := cl.connect(); err != nil {
			return err
		}
		if err := cl.Agent().Reload(); err != nil {
			return cl.fail("Error reloading", err)
		}
		fmt.Fprintln(sh.stdout, "Configuration reload triggered")
		var r reloadReport
		if text := cl.transport.lastHeader(reloadHeader); text != "" {
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return fmt.Errorf("Error reading the agent's report of the reload: %w", err)
			}
		}
		r.print(sh)
		return nil
	}
	return c
}

func (r *reloadReport) print(sh *shell) {
	for _, part := range []struct {
		title string
		keys  []string
	}{{"Applied", r.Applied}, {"Needs a restart", r.NeedsRestart}, {"Rejected", r.Rejected}} {
		for _, key := range part.keys {
			fmt.Fprintf(sh.stdout, "%s: %s\n", part.title, key)
		}
	}
}
