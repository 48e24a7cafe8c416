// Package vectors replays recorded exchanges of the compatible HTTP API against a running agent, for tests.
//
// A file holds one exchange per line (JSON); the lines of a scenario are consecutive, and were recorded
// against a fresh agent. Values that differ from run to run are placeholders: `<index:a>` is a Raft index, the
// same wherever it stands in the scenario, and greater than `<index:Z>` for an earlier letter; `<uuid:a>`,
// `<hash:a>`, `<pem:a>` and so on are bound likewise; `<int>`, `<time>` are any value of their kind.
// An exchange with `blocking` was sent before the step that it names, and answered by the step `woken_by`.
//
// Whatever is skipped is skipped by a table that gives the reason, and an entry of that table that
// skips nothing fails the test: the list of deviations cannot rot.
package vectors
