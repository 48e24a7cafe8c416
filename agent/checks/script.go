package checks

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// scriptGrace is how long a killed script's descendants may hold on to its output.
const scriptGrace = time.Second

type scriptProbe struct {
	args    []string
	timeout time.Duration
	limit   int
}

// newScript makes a check that runs a program by its argument vector, without a shell: exit 0 is passing,
// 1 a warning, all else critical. At the timeout its whole process group is killed.
func newScript(s Spec, env *Env) (Check, error) {
	if err := env.scriptsAllowed(s.Source); err != nil {
		return nil, err
	}
	d := &s.Definition
	p := &scriptProbe{args: d.ScriptArgs, timeout: d.Timeout, limit: env.outputLimit(d)}
	if p.timeout <= 0 {
		p.timeout = DefaultScriptTimeout
	}
	return every(s, env, p, DefaultScriptTimeout), nil
}

// scriptsAllowed is the one place that decides whether this agent runs programs for a check.
func (e *Env) scriptsAllowed(from Source) error {
	switch {
	case e.Scripts, e.LocalScripts && from == FromConfig:
		return nil
	case from == FromConfig:
		return fault.New(fault.Invalid, "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true")
	default:
		return fault.New(fault.Invalid, "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true").
			WithHint("define the check in a file and set enable_local_script_checks: that does not open script checks to callers of the API")
	}
}

// Probe implements Probe.
func (p *scriptProbe) Probe(ctx context.Context) Result {
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...) //nolint:gosec // running it is the check's purpose
	out := &output{limit: p.limit}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = scriptGrace
	isolate(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return Result{Status: model.StatusCritical, Output: fmt.Sprintf("Timed out (%s) running check", p.timeout)}
	case err == nil:
		return Result{Status: model.StatusPassing, Output: out.String()}
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return Result{Status: model.StatusWarning, Output: out.String()}
	case errors.As(err, &exit):
		return Result{Status: model.StatusCritical, Output: out.String()}
	case errors.Is(err, exec.ErrWaitDelay):
		// The program itself ended well; something it left behind held its output open.
		return Result{Status: model.StatusPassing, Output: out.String()}
	default:
		return critical(err)
	}
}
