// Package raftnet carries hashicorp/raft's messages between servers as one more gRPC service of the RPC port.
//
// Small messages are unary calls; heartbeats take a path of their own to Raft, past its disk. The log travels
// over one stream for each follower, so that the next entries are under way before the last were answered,
// and a snapshot over a connection of its own. A message beyond one frame is cut into frames: nobody can make
// a server allocate more than a frame for a message of which less has arrived.
//
// Who the peer is, and that it is a server, is checked by the RPC server (rpc.ServerConfig.Authorize, service
// "Raft") before anything is read.
package raftnet
