// Package agent wires one process on one host: New builds and binds everything from a configuration, Run serves
// until the agent is told to leave or to stop.
//
// An agent registers what runs on its host, runs its checks and keeps the catalog equal to that; it answers HTTP and
// DNS; it gives the host's proxies their configuration over xDS and their certificates. It is also a server, or it asks
// servers over RPC: what stands behind the interface plane is the only difference.
package agent
