package model

import "fmt"

// Secret is a token, password or key. No formatter prints it: the zero-width answer of fmt verbs, logs and
// JSON is "<hidden>". Reveal is the one way to its text.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the wrapped text, for comparing and for the wire.
func (s Secret) Reveal() string { return s.text }

// IsZero tells that there is no secret at all.
func (s Secret) IsZero() bool { return s.text == "" }

const hidden = "<hidden>"

// String implements fmt.Stringer without the text.
func (s Secret) String() string { return hidden }

// GoString implements fmt.GoStringer without the text.
func (s Secret) GoString() string { return hidden }

// Format implements fmt.Formatter, so that no verb (%x included) reaches the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText implements encoding.TextMarshaler without the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
