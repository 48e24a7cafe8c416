package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lictor-mesh/lictor/model/fault"
)

// exit ends a command with a code other than exitFailure, or without a text.
type exit struct {
	code int
	text string // "" prints nothing
	hint string
}

func (e *exit) Error() string { return e.text }

// usageFault is a command line that lacks something: its text is printed, then the command's help.
type usageFault struct{ text string }

func (e *usageFault) Error() string { return e.text }

// withHint returns err with the fix that report prints as the second line.
func withHint(err error, format string, args ...any) error {
	return fault.New(fault.BadRequest, "%w", err).WithHint(format, args...)
}

// report prints err and its hint, and returns the exit code: the one place that decides on both.
func (c *command) report(err error) int {
	if err == nil {
		return 0
	}
	var usage *usageFault
	if errors.As(err, &usage) {
		fmt.Fprintf(c.sh.stderr, "%s\n\n%s\n", usage.text, c.Help())
		return exitFailure
	}
	code, hint := exitFailure, fault.HintOf(err)
	var e *exit
	if errors.As(err, &e) {
		code, hint = e.code, e.hint
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(c.sh.stderr, text)
	}
	if hint != "" {
		fmt.Fprintln(c.sh.stderr, "Hint: "+strings.Join(strings.Fields(hint), " "))
	}
	return code
}
