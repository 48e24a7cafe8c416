package consensus

import (
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
)

// machine applies the log to the state. After an entry that it does not understand it applies nothing more.
type machine struct {
	store   *state.Store
	applied func([]state.Topic)
	logger  hclog.Logger
	// broken is cancelled, with its cause, by an entry that is not understood.
	broken context.Context
	halt   context.CancelCauseFunc
}

func newMachine(c *Config) *machine {
	m := &machine{store: c.Store, applied: c.Applied, logger: c.Logger}
	m.broken, m.halt = context.WithCancelCause(context.Background())
	return m
}

func (m *machine) err() error { return context.Cause(m.broken) }

// Apply implements raft.FSM. Its answer is []command.Outcome, or an error after which the server stops.
func (m *machine) Apply(l *raft.Log) any {
	if err := m.err(); err != nil {
		return err
	}
	var batch command.Batch
	data, err := unseal(l.Data)
	if err == nil {
		_, err = batch.UnmarshalMsg(data)
	}
	if err != nil {
		err = fmt.Errorf("log index %d does not decode: %w", l.Index, err)
		m.halt(err)
		return err
	}
	outcomes, topics, err := command.Apply(m.store, model.Index(l.Index), batch)
	if err != nil {
		m.logger.Error("the log cannot be applied; this server stops", "error", err)
		m.halt(err)
		return err
	}
	if len(topics) > 0 {
		m.applied(topics)
	}
	return outcomes
}

// ApplyBatch implements raft.BatchingFSM.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			answers[i] = m.Apply(l)
		}
	}
	return answers
}

// Snapshot implements raft.FSM: the state is immutable, so that this takes no time and stops no writes.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return snapshot{m.store.Snapshot()}, nil }

// Restore implements raft.FSM, and wakes all watchers.
func (m *machine) Restore(r io.ReadCloser) error {
	defer func() { _ = r.Close() }()
	if err := m.store.Restore(r); err != nil {
		return err
	}
	m.applied(nil)
	return nil
}

type snapshot struct{ state *state.Snapshot }

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.state.Persist(sink); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (snapshot) Release() {}
