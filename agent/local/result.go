package local

import (
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// RemoveCheck deregisters a check. An unknown id is fault.NotFound.
func (s *State) RemoveCheck(id model.CheckID) error {
	if isDrain(id) {
		return fault.New(fault.BadRequest, "CheckID %q is held by a lease and goes with it", string(id)).
			WithHint("end the proxy that drains, or let it finish")
	}
	s.write.Lock()
	defer s.write.Unlock()
	return s.removeCheck(id)
}

func (s *State) removeCheck(id model.CheckID) error {
	s.mu.Lock()
	c := s.checks[id]
	s.mu.Unlock()
	if c == nil {
		return unknownCheck(id)
	}
	if err := s.forgetCheck(id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropCheck(c)
	s.settleAliases()
	s.bump()
	return nil
}

// UpdateTTL sets the result of a TTL check. It is visible when UpdateTTL returns. Errors: fault.BadRequest for
// a bad status, fault.NotFound for an unknown check, fault.Invalid for one of another kind.
func (s *State) UpdateTTL(id model.CheckID, status model.Status, output string) error {
	if !status.Valid() {
		return fault.New(fault.BadRequest, "Invalid check status: '%s'", string(status)).
			WithHint("use passing, warning or critical")
	}
	s.mu.Lock()
	c := s.checks[id]
	s.mu.Unlock()
	if c == nil {
		return unknownCheck(id)
	}
	output = checks.Truncate(output, s.outputLimit(c))
	// Not under s.mu: the check reports while it holds its own lock.
	if c.running == nil || !c.running.Update(checks.Result{Status: status, Output: output}) {
		return fault.New(fault.Invalid, "CheckID %q does not have associated TTL", string(id)).
			WithHint("this check is run by the agent itself (%s); only TTL checks are told their status", c.cur.Type)
	}
	return s.persistTold(c, status, output)
}

func (s *State) outputLimit(c *check) int {
	limit := s.opts.Checks.OutputMaxSize()
	if c.def.OutputMaxSize > 0 {
		limit = min(limit, c.def.OutputMaxSize)
	}
	return limit
}

// report takes a result of the run r of a check.
func (s *State) report(id model.CheckID, r *run, res checks.Result) {
	s.mu.Lock()
	c := s.checks[id]
	if c == nil || c.running != r {
		s.mu.Unlock()
		return
	}
	before := c.cur
	s.publish(c, res.Status, res.Output, false)
	after := c.cur
	s.mu.Unlock()
	if before.Status != after.Status {
		s.logTransition(before.Status, after)
	}
}

func (s *State) logTransition(before model.Status, c *model.Check) {
	log := s.opts.Log.Info
	if c.Status != model.StatusPassing {
		log = s.opts.Log.Warn
	}
	log("check changed", "check", c.CheckID, "service", c.ServiceID, "from", before, "to", c.Status, "output", firstLine(c.Output))
}

// maxLoggedOutput bounds how many bytes of a check's output are in a log line.
const maxLoggedOutput = 200

// firstLine is what a log line shows of a check's output, which may be a page; the check keeps all of it.
func firstLine(output string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(output), "\n")
	line = strings.TrimSpace(line)
	if len(line) > maxLoggedOutput {
		line = strings.ToValidUTF8(line[:maxLoggedOutput], "") + "..."
	}
	return line
}

// publish gives a check its status, and all that follow from it. s.mu is held.
func (s *State) publish(c *check, status model.Status, output string, provisional bool) {
	if s.set(c, status, output, provisional) {
		s.settleAliases()
		s.bump()
	}
}

// set tells whether it changed anything. s.mu is held.
func (s *State) set(c *check, status model.Status, output string, provisional bool) bool {
	if s.opts.DiscardOutput {
		output = ""
	}
	if c.cur.Status == status && c.cur.Output == output && c.provisional == provisional {
		return false
	}
	c.provisional = provisional
	switch {
	case status != model.StatusCritical:
		c.criticalSince = time.Time{}
	case c.criticalSince.IsZero():
		c.criticalSince = time.Now()
	}
	k := *c.cur
	k.Status, k.Output = status, output
	c.cur = &k
	return true
}

// settleAliases makes the aliases of what is on this node equal to it, in the same step in which it changed.
// s.mu is held.
func (s *State) settleAliases() {
	aliases := map[model.CheckID]*model.CheckDefinition{}
	var ids []model.CheckID
	for id, c := range s.checks {
		if c.def.Type() == "alias" && !checks.Elsewhere(&c.def, s.node.Node) {
			aliases[id] = &c.def
			ids = append(ids, id)
		}
	}
	on := checks.Mirrored{
		Aliases:    aliases,
		Checks:     s.checksOf,
		HasService: func(id model.ServiceID) bool { return s.services[id] != nil },
	}
	for _, id := range ids {
		r, behind := checks.Mirror(aliases[id], on)
		provisional := false
		for _, b := range behind {
			provisional = provisional || s.checks[b].provisional
		}
		s.set(s.checks[id], r.Status, r.Output, provisional)
	}
}

// Kick runs a check at once. The channel is closed when it has a result that was begun after the call.
// An unknown id is fault.NotFound.
func (s *State) Kick(id model.CheckID) (<-chan struct{}, error) {
	s.mu.Lock()
	c := s.checks[id]
	s.mu.Unlock()
	if c == nil {
		return nil, unknownCheck(id)
	}
	if c.running == nil {
		done := make(chan struct{})
		close(done)
		return done, nil
	}
	return c.running.Kick(), nil
}

// KickService runs all checks of a service at once, and those behind its aliases: for a sidecar whose proxy
// has just connected, there is no need to wait for the next interval. An unknown id is fault.NotFound.
func (s *State) KickService(id model.ServiceID) error {
	if s.Service(id) == nil {
		return unknownService(id)
	}
	for _, r := range s.runsBehind(id) {
		r.Kick()
	}
	return nil
}

// runsBehind returns the runs on which the health of a service rests: its own checks, and what its aliases
// mirror.
func (s *State) runsBehind(id model.ServiceID) []*run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var runs []*run
	seen := map[model.ServiceID]bool{}
	var visit func(model.ServiceID)
	visit = func(id model.ServiceID) {
		if seen[id] {
			return
		}
		seen[id] = true
		for _, c := range s.byService[id] {
			if c.def.Type() == "alias" && !checks.Elsewhere(&c.def, s.node.Node) {
				if c.def.AliasService != "" {
					visit(c.def.AliasService)
				}
				continue
			}
			if c.running != nil {
				runs = append(runs, c.running)
			}
		}
	}
	visit(id)
	return runs
}
