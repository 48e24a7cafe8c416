package definition

import (
	"strings"
	"unicode"
)

// Snake turns a field's name into its file key: TLSSkipVerify is tls_skip_verify, H2PingUseTLS is
// h2ping_use_tls. A word starts at an upper-case letter after a lower-case one, and at the last of
// several upper-case letters when a lower-case one follows.
func Snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			afterLower := unicode.IsLower(runes[i-1])
			endsAcronym := unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if afterLower || endsAcronym {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
