// Package proxy is the native data plane: what stands beside a service, gives it mutual TLS, carries its connections
// to healthy instances of its upstreams, and enforces intentions on who connects to it.
//
// A proxy is told what to do by a resource.Source, mostly an ADS client (package proxy/ads), in the vocabulary of
// Envoy's xDS. It starts without any state and without certificates, waits for what is late, says on /ready and in
// the log what that is, and works on the last known state when its source is away.
//
// It refuses what it cannot enforce: such a resource is answered with a NACK and the last good version stays. It never
// carries a byte of a caller that it has not identified and authorized. See DESIGN.md for the order rules.
package proxy
