// Package definition decodes and checks what is registered: services, checks, and the bodies of the catalog's
// register and deregister calls.
//
// One table of fields, derived from the names in package model, serves two spellings. The HTTP API takes
// CamelCase keys in any case and their snake_case forms, refuses an unknown key with the text that clients
// know (`Request decode failed: json: unknown field "X"`), and takes durations as strings or nanoseconds.
// Files take snake_case keys, refuse a key or block given twice where only one counts, and name line and key
// in every error. So a new field of a service needs its line in model, and nothing here.
//
// Validation answers with the texts and kinds of the recorded API; what the API lets pass though it cannot
// work (a port of 70000) is told by Problems, which files treat as errors. The package is pure: ports for
// sidecars come from a function that the caller passes in.
package definition
