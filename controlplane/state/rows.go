package state

import (
	"time"

	"github.com/lictor-mesh/lictor/model"
)

//go:generate go tool msgp -o rows_gen.go -tests=false -io=false -unexported

// Receipt is the outcome of a write that was applied.
type Receipt struct {
	RequestID string    `msg:"r"`
	Time      time.Time `msg:"t"`
	// Index is the Raft index at which the write was applied.
	Index model.Index `msg:"i"`
	// Outcome is the encoded outcome, opaque here.
	Outcome []byte `msg:"o"`
}

// topicRow is the index of one topic.
type topicRow struct {
	Topic string      `msg:"t"`
	Index model.Index `msg:"i"`
}
