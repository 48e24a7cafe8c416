// Package dns answers DNS queries from the catalog: services, nodes, addresses, reverse names and the zone's own
// records, over UDP and TCP (RFC 1035, SRV per RFC 2782, negative answers per RFC 2308, EDNS per RFC 6891).
//
// A query passes four stages. parse reads the name from right to left into a kind, what stands left of it and a
// locality; the kind's lookup (one file each: service.go, node.go, addr.go, pointer.go, zone.go) turns what the
// catalog holds into a reply; message fits the reply to the transport; Server carries bytes. The first three are
// synchronous, and take the catalog, the time and the dice as arguments. Another kind of name is another lookup
// and its line in lookupOf.
//
// The catalog is read through views alone. What a service's answers need (distinct addresses, SRV targets,
// weights) is worked out once per change and kept with the view's result, so that a query only shuffles it. A name
// that no instance bears never opens a view: random names cost a look into one set of names.
//
// Names outside the served domains are refused: there is no recursion here.
package dns
