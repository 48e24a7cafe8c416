package command

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Apply applies the commands of one log entry to the store, at the entry's index, and returns the outcome of
// each and the topics that moved. An error means that the log holds what this server cannot understand: it
// must stop before it goes astray from the others.
func Apply(store *state.Store, index model.Index, batch Batch) ([]Outcome, []state.Topic, error) {
	outcomes := make([]Outcome, len(batch))
	woken := map[state.Topic]struct{}{}
	tx := store.Begin(index)
	for n := range batch {
		cmd, err := decode(&batch[n])
		if err != nil {
			tx.Abort()
			return nil, nil, fmt.Errorf("log index %d: %w", index, err)
		}
		undo := tx.Savepoint()
		outcome, err := applyOne(tx, cmd, &batch[n])
		if err != nil {
			undo()
			outcome = Outcome{Index: index, Fault: FaultOf(err)}
			remember(tx, &batch[n], outcome)
		}
		outcomes[n] = outcome
	}
	for _, t := range tx.Commit() {
		woken[t] = struct{}{}
	}
	return outcomes, slices.Collect(maps.Keys(woken)), nil
}

// Decode reads a command that came from elsewhere.
func Decode(kind Kind, body []byte) (Command, error) {
	cmd := fresh(kind)
	if cmd == nil {
		return nil, fault.New(fault.BadRequest, "command kind %d is unknown to this server", kind).
			WithHint("upgrade the servers before the agents")
	}
	if _, err := cmd.UnmarshalMsg(body); err != nil {
		return nil, fault.New(fault.BadRequest, "command kind %d does not decode: %w", kind, err)
	}
	return cmd, nil
}

func decode(e *Envelope) (Command, error) {
	cmd := fresh(e.Kind)
	if cmd == nil {
		return nil, fmt.Errorf("command kind %d is unknown to this version: a newer server wrote it; upgrade this server before it may go on", e.Kind)
	}
	if _, err := cmd.UnmarshalMsg(e.Body); err != nil {
		return nil, fmt.Errorf("command kind %d does not decode: %w", e.Kind, err)
	}
	return cmd, nil
}

func applyOne(tx *state.Tx, cmd Command, e *Envelope) (Outcome, error) {
	if e.RequestID != "" {
		if r := tx.Receipt(e.RequestID); r != nil {
			var o Outcome
			_, err := o.UnmarshalMsg(r.Outcome)
			return o, err
		}
	}
	o, err := cmd.apply(tx, e.Time)
	if err != nil {
		return o, err
	}
	o.Index = tx.Index()
	remember(tx, e, o)
	return o, nil
}

func remember(tx *state.Tx, e *Envelope, o Outcome) {
	if e.RequestID == "" {
		return
	}
	body, err := o.MarshalMsg(nil)
	if err != nil {
		panic("command: an outcome always encodes: " + err.Error())
	}
	tx.PutReceipt(&state.Receipt{RequestID: e.RequestID, Time: e.Time, Index: tx.Index(), Outcome: body})
}
