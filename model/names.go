package model

import "strings"

// NodeName is the name of a host in the catalog.
type NodeName string

// NodeID is the UUID of a host, in lower case with dashes.
type NodeID string

// ServiceName is the name that instances of a service share.
type ServiceName string

// ServiceID identifies one instance of a service on its node.
type ServiceID string

// CheckID identifies a health check on its node.
type CheckID string

// Index is a Raft log index, as seen in the CreateIndex and ModifyIndex of objects and X-Consul-Index.
type Index uint64

// Wildcard is the name in an intention that stands for every service.
const Wildcard ServiceName = "*"

// Fold is the form in which names are compared: the catalog keeps the case in which a name was
// registered, and looks it up without regard to case.
func Fold[S ~string](name S) string { return strings.ToLower(string(name)) }

// InstanceKey identifies a service instance in a datacenter.
type InstanceKey struct {
	Node NodeName
	ID   ServiceID
}

// RaftIndexes are the log indexes at which an object was made and last changed.
type RaftIndexes struct {
	CreateIndex Index `msg:"ci,omitempty"`
	ModifyIndex Index `msg:"mi,omitempty"`
}
