// Package demo runs the demo mesh on loopback as real processes: one agent that is also the server, web, api and
// two instances of db, each with its sidecar. Run shows it to a person; Check lives through the scenario that a mesh is
// for: calls over mutual TLS, a denial, a dead instance, certificates that rotate, a sidecar that drains and a
// server that is away, all under load.
package demo
