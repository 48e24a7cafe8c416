// Package version knows which version of Consul's outward behaviour this build answers as, and which Lictor it is.
//
// Clients parse the first (Compat), so it stands wherever Consul's own version would; Own stands beside it.
package version

import (
	"runtime/debug"
	"strings"
)

// Compat is the version of Consul whose API, CLI and file formats Lictor follows. It is what agent/self, the node
// meta consul-version, the member tag build and the first line of "version" say.
const Compat = "1.21.4"

// The RPC protocol versions that Consul of version Compat speaks. They appear in "version" and in member tags, and
// say nothing about Lictor's own RPC.
const (
	ProtocolDefault = 2
	ProtocolMin     = 2
	ProtocolMax     = 3
)

// Set by the linker (-X github.com/lictor-mesh/lictor/version.own=...) in release builds, constant after that.
var (
	own       = "0.1.0-dev"
	revision  = ""
	buildDate = ""
)

// epoch stands where no build date is known: clients parse the field as a time.
const epoch = "1970-01-01T00:00:00Z"

// Own is Lictor's own version, without a leading "v" (semver.org).
func Own() string { return own }

// Prerelease is the part of Own after the first dash, or "".
func Prerelease() string {
	_, pre, _ := strings.Cut(own, "-")
	return pre
}

// Revision is the commit the binary was built from, cut to 12 digits, with "-dirty" when the tree held changes; ""
// when the build does not know it.
func Revision() string {
	if revision != "" {
		return revision
	}
	rev := buildSetting("vcs.revision")
	if len(rev) > 12 {
		rev = rev[:12]
	}
	if rev != "" && buildSetting("vcs.modified") == "true" {
		rev += "-dirty"
	}
	return rev
}

// BuildDate is the time of the build's commit (RFC 3339, UTC), the Unix epoch when the build does not know it.
func BuildDate() string {
	if buildDate != "" {
		return buildDate
	}
	if t := buildSetting("vcs.time"); t != "" {
		return t
	}
	return epoch
}

func buildSetting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
