// Package fault is how Lictor says that something went wrong: errors as data, of a closed set of kinds
// that survives RPC. Each edge maps kinds by one function: the HTTP API to a status, DNS to an rcode, the
// CLI to an exit code. Nothing decides on an error's text.
package fault

import (
	"errors"
	"fmt"
)

// Kind classifies an error by what its reader can do about it.
type Kind uint8

// The kinds. Their numbers travel over RPC: append, never reorder.
const (
	// Internal is a fault of ours.
	Internal Kind = iota
	// BadRequest is what an edge refuses before the state sees it: malformed, missing or misplaced input (HTTP 400).
	BadRequest
	// Invalid is what the state or a validation behind it refuses (HTTP 500, as Consul records it).
	Invalid
	// NotFound is an object that does not exist (404).
	NotFound
	// Permission is a request that the caller may not make (403).
	Permission
	// Conflict is a write whose precondition no longer holds (409).
	Conflict
	// NotLeader is answered by a server that is not the leader to what only the leader does; it is forwarded, not shown.
	NotLeader
	// NoLeader is the lack of a leader within the time that was given to wait for one (500 "No cluster leader").
	NoLeader
	// NoPath is a datacenter that nobody knows (500 "No path to datacenter").
	NoPath
	// Unavailable is a dependency that does not answer now (503).
	Unavailable
	// TooLarge is input beyond a limit (413).
	TooLarge
	// RateLimited is a caller beyond its rate (429).
	RateLimited
	// Disabled is a feature that configuration turned off (401 for ACLs, otherwise as the endpoint records).
	Disabled
	// OutcomeUnknown is a write of which it cannot be told whether it was done.
	OutcomeUnknown
	// Canceled is a caller that went away, or its deadline.
	Canceled
)

var kindNames = [...]string{"internal", "bad request", "invalid", "not found", "permission denied", "conflict",
	"not leader", "no leader", "no path", "unavailable", "too large", "rate limited", "disabled", "outcome unknown", "canceled"}

// String names the kind for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error is an error with a kind. Text is what the caller reads, as the compatible API records it. Hint is the
// fix in one line, for the X-Lictor-Hint header, the log and the CLI's second line.
type Error struct {
	Kind  Kind
	Text  string
	Hint  string
	cause error
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause, if any is kept.
func (e *Error) Unwrap() error { return e.cause }

// New makes an error of kind with a formatted text; %w keeps the cause.
func New(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Text: err.Error(), cause: errors.Unwrap(err)}
}

// WithHint returns e with the fix set.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// KindOf returns the kind of the first Error in err's chain, Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// HintOf returns the hint of the first Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.cause
	}
	return ""
}

// Is tells whether err is of kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
