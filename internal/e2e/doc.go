// Package e2e holds the built program to the promises that only real processes can show: what it says and how it ends
// on bad input, what is there after a crash, what a flood or garbage on any of its listeners does to the others, and
// how sidecars, agents and the commands beside them live and end together.
//
// It is made of tests only. Each starts the program that LICTOR_TEST_BINARY names, or builds one, on free ports of
// loopback, waits by polling with deadlines, and ends every process that it started. Tests that need another user are
// skipped where the system does not let them have one.
package e2e
