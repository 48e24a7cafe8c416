package agent

import (
	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/httpapi"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
)

// Reload reads the configuration again and applies what can be: services, checks, the log level. It tells what
// was applied and what needs a restart. With an error nothing was changed.
func (a *Agent) Reload() (httpapi.Reloaded, error) {
	if a.options.Load == nil {
		return httpapi.Reloaded{}, fault.New(fault.Invalid, "this agent was started without configuration that could be read again")
	}
	next, warnings, err := a.options.Load()
	if err != nil {
		a.log.Error("the configuration was rejected; nothing was changed", "error", err)
		return httpapi.Reloaded{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	applied, restart := config.Diff(a.config, next)
	counts, err := a.local.ReplaceConfig(pointers(next.Services), pointers(next.Checks))
	if err != nil {
		a.log.Error("the configuration was rejected; nothing was changed", "error", err)
		return httpapi.Reloaded{}, err
	}
	a.log.SetLevel(hclog.LevelFromString(next.Log.Level))
	a.config = config.Reloaded(a.config, next)
	a.local.SetNode(a.self(a.config))
	a.limitAgain(a.config)
	for _, w := range warnings {
		a.log.Warn(w)
	}
	done := httpapi.Reloaded{Applied: append([]string{counts.String()}, applied...), NeedsRestart: restart}
	a.log.Info("configuration reloaded", "applied", done.Applied, "needs_restart", done.NeedsRestart)
	return done, nil
}

// limitAgain puts the limits of connections in force, from the next connection on.
func (a *Agent) limitAgain(c *config.Config) {
	for _, l := range a.sockets.http {
		if limited, ok := l.(*netlimit.Listener); ok {
			limited.SetLimits(httpLimits(c))
		}
	}
	a.plane.SetLimits(c)
}
