// Package certs is the mesh's built-in certificate authority: roots, leaves, rotation, and the check of a
// peer's chain. Its functions are pure: they take the time and, where they choose something, a source of
// randomness as arguments, and keep no state; what they return is put into the Raft state by the server.
// (Since Go 1.26 crypto/ecdsa, crypto/rsa and crypto/x509 take their key and signature randomness from the
// system whatever reader they are given; the reader decides names and serials.)
//
// Its contract: a certificate names exactly one identity, the one that the caller passed in after deciding
// that it may be issued. A signing request gives a public key and the proof that its sender holds the
// private one, and nothing else; whatever else it asks for is an error, never ignored. Private keys of
// services are made where they are used and never come here.
//
// The forms follow X.509 (RFC 5280), the X.509-SVID specification of SPIFFE, and what Consul 1.21 issues.
package certs
