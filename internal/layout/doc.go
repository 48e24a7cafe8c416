// Package layout holds the house rules of this repository as tests: which package may import which, which ones are
// pure, that each has one package comment, that there is no state behind a package's back, what its texts do not
// mention, and that the shell blocks which its documents mark as runnable do run.
//
// A rule is a table with a reason in each row. Who breaks one reads the reason in the failure, and then mends the
// code, or changes the row and its reason in the same commit. An exception that nothing needs any more fails too.
//
// A block of a document is run when its fence says so:
//
//	```sh runnable
//	lictor agent -dev
//	lictor members
//	```
//
// All such blocks of one document are one session in a directory of its own, from top to bottom, without a prompt
// before the commands. What serves until it is interrupted (agent, demo, connect proxy) is started in the
// background and ended with the session; the command after it is tried until it succeeds. Where the system permits,
// a session has a network of its own, so that the usual ports are free.
package layout
