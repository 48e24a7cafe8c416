package dns

import (
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// rawPrefix marks metadata whose value alone is the record.
const rawPrefix = "rfc1035-"

// maxText is how long one character-string of a TXT record may be (RFC 1035 3.3.14).
const maxText = 255

// metadata makes a TXT record of each pair, by key: key=value in the form of RFC 1464, or the value alone for keys
// that begin with rfc1035-.
func metadata(name string, meta map[string]string, ttl uint32) []dns.RR {
	if len(meta) == 0 {
		return nil
	}
	records := make([]dns.RR, 0, len(meta))
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		text := meta[key]
		if len(key) < len(rawPrefix) || !strings.EqualFold(key[:len(rawPrefix)], rawPrefix) {
			text = quoteKey(key) + "=" + text
		}
		records = append(records, &dns.TXT{Hdr: header(name, dns.TypeTXT, ttl), Txt: characterStrings(text)})
	}
	return records
}

// quoteKey quotes what would end or change a key: the equals sign, the quote itself, and white space at either
// end (RFC 1464 2).
func quoteKey(key string) string {
	inner := strings.Trim(key, " \t")
	if inner == key && !strings.ContainsAny(key, "`=") {
		return key
	}
	start := strings.Index(key, inner)
	var b strings.Builder
	for n := range len(key) {
		if c := key[n]; c == '`' || c == '=' || n < start || n >= start+len(inner) {
			b.WriteByte('`')
		}
		b.WriteByte(key[n])
	}
	return b.String()
}

// characterStrings splits a text at the length that one string may have, and escapes it for the record.
func characterStrings(text string) []string {
	var parts []string
	for len(text) > maxText {
		parts = append(parts, escapeText(text[:maxText]))
		text = text[maxText:]
	}
	return append(parts, escapeText(text))
}

func escapeText(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }
