// Package gossip runs the membership pools: the LAN pool of all agents of a datacenter, and the WAN pool of
// all servers of all datacenters. A pool knows who is there, carries small user events, estimates round trips,
// and distributes its encryption keys.
//
// It stands on hashicorp/serf (SWIM with Lifeguard: Das and others 2002, Dadgar and others 2017), over a
// transport of ours that accepts connections under limits. What it does not do: decide anything about the
// catalog or Raft from membership; its events tell, their reader decides.
//
// Members of another datacenter (LAN), clients (WAN) and a second host with this host's node id are refused,
// with one line that names them.
package gossip
