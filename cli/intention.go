package cli

import (
	"errors"
	"strings"

	"github.com/hashicorp/consul/api"
)

func intentionGroup(sh *shell) *command {
	return group(sh, "intention", "Say which service may call which",
		`Intentions allow or deny connections between services of the mesh. The most specific one decides: an exact source and `+
			`destination before a wildcard ("*"). Without any, the cluster's default applies.`)
}

// errTwoNames is the fault of a command line that does not name a source and a destination.
func errTwoNames(c *command, args []string) error {
	err := errors.New("Error: Must specify two arguments: source and destination")
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			return withHint(err, "flags go before the arguments: %s %s %s SRC DST", c.sh.program, c.name, arg)
		}
	}
	return err
}

// intentionName is a service as an intention names it: NAME, NAMESPACE/NAME or PARTITION/NAMESPACE/NAME.
type intentionName struct{ partition, namespace, name string }

func parseIntentionName(text string) intentionName {
	parts := strings.SplitN(text, "/", 3)
	switch len(parts) {
	case 3:
		return intentionName{parts[0], parts[1], parts[2]}
	case 2:
		return intentionName{"", parts[0], parts[1]}
	default:
		return intentionName{"", "", text}
	}
}

// findIntention reads one intention by its two names, or by its ID where args has one element. A nil intention
// without an error does not exist.
func findIntention(cl *client, args []string) (*api.Intention, error) {
	var ixn *api.Intention
	var err error
	if len(args) == 1 {
		//lint:ignore SA1019 the command has a form that names intentions by the id of the deprecated API
		ixn, _, err = cl.Connect().IntentionGet(args[0], cl.query()) //nolint:staticcheck // IDs remain valid in scripts
	} else {
		ixn, _, err = cl.Connect().IntentionGetExact(args[0], args[1], cl.query())
	}
	if err != nil {
		return nil, cl.fail("Error reading the intention", err)
	}
	return ixn, nil
}
