package checks

import "github.com/lictor-mesh/lictor/model/fault"

// newOSService refuses: services of the operating system can be checked on Windows only, and not there yet.
func newOSService(Spec, *Env) (Check, error) {
	return nil, fault.New(fault.Invalid, "not implemented").
		WithHint("OSService checks are not supported by this agent; use a TCP, HTTP or script check")
}
