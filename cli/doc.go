// Package cli is Lictor's command line: one file per command, each command a flag set, a help text and a function.
//
// Commands talk to an agent over its HTTP API through github.com/hashicorp/consul/api, as any client would, so that
// each of them also proves the API compatible; "agent", "connect proxy" and "validate" are the ones that also run
// parts of Lictor in this process. Names, flags, columns, messages and exit codes follow Consul 1.21, because scripts
// depend on them. Results go to stdout, errors to stderr as one line, with the fix on a second line ("Hint: ...").
//
// The list in commands.go is written out; nothing registers itself. There are as many files as commands, and few more:
// what the commands share is command.go, client.go and report.go; what a proxy's process does beside the data plane
// itself (package proxy) is in proxy_*.go, child*.go and standalone*.go. Commands take their streams, environment and name
// from a shell value and never touch os.Stdout or os.Getenv themselves.
package cli
