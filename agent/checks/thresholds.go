package checks

import "github.com/lictor-mesh/lictor/model"

// Thresholds turns the results of single runs into a status that does not flap: a status changes only after
// as many consecutive results as the definition asks for. 0 and 1 both mean at once.
type Thresholds struct {
	successBeforePassing   int
	failuresBeforeWarning  int
	failuresBeforeCritical int

	status    model.Status
	successes int
	failures  int
}

// NewThresholds starts from a published status. FailuresBeforeWarning defaults to FailuresBeforeCritical.
func NewThresholds(d *model.CheckDefinition, status model.Status) *Thresholds {
	t := &Thresholds{
		successBeforePassing:   d.SuccessBeforePassing,
		failuresBeforeWarning:  d.FailuresBeforeWarning,
		failuresBeforeCritical: d.FailuresBeforeCritical,
		status:                 status,
	}
	if t.failuresBeforeWarning == 0 {
		t.failuresBeforeWarning = t.failuresBeforeCritical
	}
	return t
}

// Observe takes what one run found and returns the status to publish. A run that found a warning counts as
// a success: what answers is not failing.
func (t *Thresholds) Observe(found model.Status) model.Status {
	if found != model.StatusCritical {
		t.failures = 0
		t.successes++
		if t.successes >= t.successBeforePassing {
			t.status = found
		}
		return t.status
	}
	t.successes = 0
	t.failures++
	switch {
	case t.failures >= t.failuresBeforeCritical:
		t.status = model.StatusCritical
	case t.failures >= t.failuresBeforeWarning:
		t.status = t.status.Worse(model.StatusWarning)
	}
	return t.status
}
