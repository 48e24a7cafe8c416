package model

import "time"

// Consistency says which server may answer a read.
type Consistency uint8

// The consistency modes of https://developer.hashicorp.com/consul/api-docs/features/consistency.
const (
	// ConsistencyDefault is answered by the leader under its lease.
	ConsistencyDefault Consistency = iota
	// ConsistencyStrong is answered by the leader after a quorum confirmed it.
	ConsistencyStrong
	// ConsistencyStale is answered by any server, or a local view.
	ConsistencyStale
)

// String returns the word of the X-Consul-Effective-Consistency header.
func (c Consistency) String() string {
	switch c {
	case ConsistencyStrong:
		return "consistent"
	case ConsistencyStale:
		return "stale"
	default:
		return "leader"
	}
}

// ReadOptions say how a read is to be answered.
type ReadOptions struct {
	// MinIndex makes the read wait until its result's index is greater; 0 never waits.
	MinIndex Index `msg:"min,omitempty"`
	// MaxWait bounds that wait; 0 means the server's default_query_time.
	MaxWait time.Duration `msg:"wait,omitempty"`
	Mode    Consistency   `msg:"mode,omitempty"`
	// MaxStale is the greatest acceptable time since the answering server heard from the leader; 0 is any.
	MaxStale time.Duration `msg:"max_stale,omitempty"`
}

// Request is what every read and write carries beside its own arguments.
type Request struct {
	// Token is the secret the caller sent, empty for the anonymous caller.
	Token Secret `msg:"-"`
	// Datacenter is where the request is to be answered; empty is the local one.
	Datacenter string      `msg:"dc,omitempty"`
	Read       ReadOptions `msg:"read,omitempty"`
}

// ReadMeta describes how a read was answered.
type ReadMeta struct {
	// Index is the index of the result, never 0 on the wire.
	Index Index `msg:"idx"`
	// LastContact is how long ago the answering server heard from the leader.
	LastContact time.Duration `msg:"lc,omitempty"`
	KnownLeader bool          `msg:"kl,omitempty"`
	// Streaming tells that a materialised local view answered, which is named in X-Consul-Query-Backend.
	Streaming bool `msg:"st,omitempty"`
	// Mode is the consistency that was kept.
	Mode Consistency `msg:"mode,omitempty"`
}
