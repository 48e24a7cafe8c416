package definition

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// ValidateService tells why def cannot be registered with an agent, in the words of the recorded API. Errors are of kind
// fault.BadRequest. It does not look at the sidecar's own fields: Sidecar does, when it expands them.
func ValidateService(def *model.ServiceDefinition) error {
	s := &def.Service
	if s.Service == "" {
		return bad("Missing service name").WithHint("set Name (in files: name) of the service")
	}
	if err := validateCommon(def); err != nil {
		return err
	}
	faults := instanceFaults(s)
	if side := def.Sidecar; side != nil {
		if side.Service.ID != "" {
			faults = append(faults, "A SidecarService cannot specify an ID as this is managed by the agent")
		}
		if side.Sidecar != nil {
			faults = append(faults, "A SidecarService cannot have a nested SidecarService")
		}
	}
	return faults.err("Validation failed: ")
}

// validateCommon holds for a service as for its sidecar.
func validateCommon(def *model.ServiceDefinition) error {
	s := &def.Service
	if unspecified(s.Address) {
		return bad("Invalid service address").
			WithHint("%s cannot be dialled by others; leave the address empty for the node's, or name one", s.Address)
	}
	if reason := weightsFault(s.Weights); reason != "" {
		return bad("Invalid Weights: %s", reason)
	}
	if err := ValidateMeta(s.Meta, s.Kind == model.KindMeshGateway); err != nil {
		return bad("Invalid Service Meta: %v", err)
	}
	for i := range def.Checks {
		c := &def.Checks[i]
		if reason := runFault(c); reason != "" {
			return bad("Invalid check: %s", reason)
		}
		if c.Status != "" && !c.Status.Valid() {
			return bad("Status for checks must 'passing', 'warning', 'critical'")
		}
	}
	return nil
}

// ValidateCheck tells why c cannot be registered with an agent by itself, in the words of the recorded API. Errors are of
// kind fault.BadRequest.
func ValidateCheck(c *model.CheckDefinition) error {
	if c.Name == "" {
		return bad("Missing check name").WithHint("set Name (in files: name) of the check")
	}
	if c.Status != "" && !c.Status.Valid() {
		return bad("Bad check status").WithHint("use passing, warning or critical, not %q", string(c.Status))
	}
	if reason := runFault(c); reason != "" {
		return bad("Invalid check: %s", reason)
	}
	return nil
}

// RunsScripts tells whether c runs a program on the agent's host, which an agent allows only when it was configured to.
func RunsScripts(c *model.CheckDefinition) bool { return len(c.ScriptArgs) > 0 }

func bad(format string, args ...any) *fault.Error {
	return fault.New(fault.BadRequest, format, args...)
}

// runFault tells which rule of how a check runs c breaks, "" for none.
func runFault(c *model.CheckDefinition) string {
	periodic := len(c.ScriptArgs) > 0 || cmp.Or(c.HTTP, c.TCP, c.UDP, c.GRPC, c.H2PING, c.OSService) != ""
	alias := c.AliasNode != "" || c.AliasService != ""
	switch {
	case c.Interval > 0 && c.TTL > 0:
		return "Interval and TTL cannot both be specified"
	case periodic && c.Interval <= 0:
		return "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
	case !periodic && !alias && c.TTL <= 0:
		return "TTL must be > 0 for TTL checks"
	case c.OutputMaxSize < 0:
		return "MaxOutputMaxSize must be positive"
	case c.FailuresBeforeWarning > c.FailuresBeforeCritical:
		return "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
	}
	return ""
}

func weightsFault(w model.Weights) string {
	const limit = 65535
	switch {
	case w.Passing < 1:
		return "Passing must be greater than 0"
	case w.Warning < 0:
		return "Warning must be 0 or greater"
	case w.Passing > limit || w.Warning > limit:
		return fmt.Sprintf("DNS Weight must be between 0 and %d", limit)
	}
	return ""
}

const (
	maxMetaPairs = 64
	maxMetaKey   = 128
	maxMetaValue = 512
)

var metaKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// ValidateMeta tells what is wrong with the metadata of a node or service: at most 64 pairs, keys of at most 128
// letters, digits, _ and -, values of at most 512 bytes, no key with the reserved prefix consul-. A mesh gateway
// may carry consul-wan-federation.
func ValidateMeta(meta map[string]string, meshGateway bool) error {
	if len(meta) > maxMetaPairs {
		return bad("Node metadata cannot contain more than %d key/value pairs", maxMetaPairs)
	}
	keys := make([]string, 0, len(meta))
	for key := range meta {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if reason := metaFault(key, meta[key], meshGateway); reason != "" {
			return bad("Couldn't load metadata pair ('%s', '%s'): %s", key, meta[key], reason)
		}
	}
	return nil
}

func metaFault(key, value string, meshGateway bool) string {
	switch {
	case key == "":
		return "Key cannot be blank"
	case !metaKey.MatchString(key):
		return "Key contains invalid characters"
	case len(key) > maxMetaKey:
		return fmt.Sprintf("Key is too long (limit: %d characters)", maxMetaKey)
	case strings.HasPrefix(strings.ToLower(key), "consul-") && !(meshGateway && key == "consul-wan-federation"):
		return "Key prefix 'consul-' is reserved for internal use"
	case len(value) > maxMetaValue:
		return fmt.Sprintf("Value is too long (limit: %d characters)", maxMetaValue)
	}
	return ""
}

// unspecified tells an address that means "any of this host's".
func unspecified(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Unmap().IsUnspecified()
}
