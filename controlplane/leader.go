package controlplane

import (
	"context"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// The leader's rhythm.
const (
	barrierTimeout    = 30 * time.Second
	reconcileInterval = 30 * time.Second
	pruneInterval     = 10 * time.Minute
	retryInterval     = time.Second
)

// lead does the leader's work whenever this server leads.
func (s *Server) lead(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.node.Failed():
			return s.node.Err()
		case leading := <-s.node.LeaderCh():
			if !leading {
				continue
			}
			if err := s.term(ctx); err != nil {
				return err
			}
		}
	}
}

// term is one time in office. It returns nil when that ends, an error when the server must stop.
func (s *Server) term(ctx context.Context) error {
	s.logger.Info("this server leads")
	for {
		err := s.takeOffice(ctx)
		if err == nil {
			break
		}
		s.logger.Error("taking office; trying again", "error", err)
		if ended, stop := s.pause(ctx, retryInterval); ended || stop != nil {
			return stop
		}
	}
	reconcile, prune := time.NewTicker(reconcileInterval), time.NewTicker(pruneInterval)
	defer reconcile.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.node.Failed():
			return s.node.Err()
		case leading := <-s.node.LeaderCh():
			if !leading {
				s.logger.Warn("this server leads no longer")
				s.engine.NotifyAll()
				return nil
			}
		case <-s.config.MembersChanged:
			s.reconcile(ctx)
		case <-reconcile.C:
			s.reconcile(ctx)
		case <-prune.C:
			if err := s.pruneRoots(ctx); err != nil {
				s.logger.Error("dropping old roots", "error", err)
			}
		}
	}
}

// pause waits, and tells whether the term has ended or the server must stop.
func (s *Server) pause(ctx context.Context, d time.Duration) (ended bool, stop error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return true, nil
	case <-s.node.Failed():
		return true, s.node.Err()
	case leading := <-s.node.LeaderCh():
		return !leading, nil
	}
}

// takeOffice brings the state up to date before anything is decided on it.
func (s *Server) takeOffice(ctx context.Context) error {
	if err := s.node.Barrier(barrierTimeout); err != nil {
		return err
	}
	if err := s.ensureAuthority(ctx); err != nil {
		return err
	}
	s.reconcile(ctx)
	return nil
}

// reconcile writes what the gossip pool says about its members, where the catalog says otherwise.
func (s *Server) reconcile(ctx context.Context) {
	for _, c := range memberChanges(s.config.Members(), s.store.Snapshot()) {
		if _, err := s.Apply(ctx, model.Request{}, c); err != nil {
			s.logger.Error("recording a member", "error", err)
		}
	}
}
