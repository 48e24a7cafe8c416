// Package controlplane wires one server: the state under Raft, the views over it, the mesh's authority, and
// what only the leader does (the members' records, the first root). It also holds the client agent's stand-in,
// Remote, which asks servers over RPC and keeps their views.
//
// Both answer the same three questions of an agent: Read, Apply and Sign; and both are a source of views for
// DNS and xDS on that agent. Forwarding to the leader happens here and nowhere else.
package controlplane
