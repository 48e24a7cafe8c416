// Package local holds what this host registered: its services, its checks and what they found. It is the
// source of truth for this node; the catalog is kept equal to it.
//
// Registrations of the API are persisted in the data directory, one file each, before they are
// acknowledged. Registrations of config files are not: a reload replaces them and keeps what is known of
// their checks. A damaged file stops the start with its name; nothing is ever reset silently.
//
// State is the shell around it: registering, running checks, watching. Diff is the pure core of
// anti-entropy: the changes that make the catalog equal to the State. It touches only records that
// this agent owns on its own node, and never lets an instance look healthier than it is known to be: a
// service goes out together with its checks, and what a restarted agent has not checked yet keeps the status
// that the catalog has. Syncer applies Diff whenever something changed, and in full from time to time.
//
// A Lease takes an instance out of the healthy set for as long as somebody holds it; it lives in memory only.
package local
