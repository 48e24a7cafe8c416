package model

import "fmt"

// Format implements fmt.Formatter without the key, so that no log line can hold it.
func (k CAKey) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "signing key of %s %s", k.RootID, hidden)
}
