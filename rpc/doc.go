// Package rpc carries requests between agents and servers, and between servers: typed methods over gRPC, all
// on one port, on which Raft (package rpc/raftnet) travels too.
//
// Messages are msgpack (tinylib/msgp), not protobuf; gRPC gives framing, flow control, deadlines and streams.
// Faults are data and survive the way: a reply holds its fault, and a gRPC error means only that the way
// itself failed. Every request carries token, datacenter and read options.
//
// The client does all the forwarding: it finds the leader by the hint in a server's refusal, tries another
// server where one does not answer, and repeats a write under the same request id, which the state knows for
// a minute. What it cannot tell it says: fault.OutcomeUnknown.
//
// A subscription shows the newest result only. A reader who is slow misses what is in between, and never
// makes a server keep more than one result for each of its subscriptions.
//
// Limits hold before anything is decoded: connections in total and for each client, the handshake's time, a
// message's size, streams on a connection, and who may call what (Config.Authorize).
package rpc

//go:generate go tool msgp -o wire_gen.go -tests=false -io=false -file wire.go
