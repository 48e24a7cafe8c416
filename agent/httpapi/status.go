package httpapi

import (
	"errors"
	"net/http"

	"github.com/lictor-mesh/lictor/model/fault"
)

// statusError is an error with a status of its own, where the recorded API breaks the rule of statusOf.
type statusError struct {
	status int
	error
}

// Unwrap returns the error, whose hint is shown too.
func (e *statusError) Unwrap() error { return e.error }

// statusOf maps an error's kind to a status: the one place that does so.
func statusOf(err error) int {
	var own *statusError
	if errors.As(err, &own) {
		return own.status
	}
	switch fault.KindOf(err) {
	case fault.BadRequest:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Permission:
		return http.StatusForbidden
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Disabled:
		return http.StatusUnauthorized
	default:
		// Invalid, NoLeader and NoPath too are 500 in the compatible API; Canceled has nobody to read it.
		return http.StatusInternalServerError
	}
}

// hintOf finds the fix of an error, also behind a status of its own.
func hintOf(err error) string {
	var own *statusError
	if errors.As(err, &own) {
		return fault.HintOf(own.error)
	}
	return fault.HintOf(err)
}
