// Package model holds the domain types of Lictor: one Go struct for each concept, whatever the number
// of ways in which it is shown.
//
// JSON (HTTP API) and msgpack (RPC and the Raft log) are codecs on these structs. The msgpack codec is
// generated into this package; the JSON shapes are append-encoders in agent/httpapi. A field is named as
// the HTTP API names it, so that decoders can derive its spellings.
//
// Values that were put into the state are immutable: whoever wants to change one makes a copy first
// (see the Clone methods). The package imports nothing of ours but model/fault, and does no I/O.
package model

//go:generate go tool msgp -o gen.go -tests=false -io=false -file .
