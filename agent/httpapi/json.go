package httpapi

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/lictor-mesh/lictor/model"
)

const hexDigits = "0123456789abcdef"

// appendString appends s as encoding/json writes it: HTML characters escaped, invalid UTF-8 replaced.
func appendString[S ~string](b []byte, s S) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if plainByte(c) {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[start:i]...)
			b = append(b, `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			b = append(b, s[start:i]...)
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&0xF])
			start = i + size
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func plainByte(c byte) bool {
	return c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
}

// object appends the members of one JSON object. Its methods take the key first; those that end in If leave
// out the zero value.
type object struct {
	b     []byte
	began bool
}

func beginObject(b []byte) object { return object{b: append(b, '{')} }

func (o *object) end() []byte { return append(o.b, '}') }

// key appends a key, which is plain ASCII, and leaves the place for its value.
func (o *object) key(name string) {
	if o.began {
		o.b = append(o.b, ',')
	}
	o.began = true
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) raw(name, value string) { o.key(name); o.b = append(o.b, value...) }

func (o *object) flag(name string, v bool) { o.key(name); o.b = strconv.AppendBool(o.b, v) }

func (o *object) flagIf(name string, v bool) {
	if v {
		o.flag(name, v)
	}
}

func (o *object) int(name string, v int) { o.key(name); o.b = strconv.AppendInt(o.b, int64(v), 10) }

func (o *object) intIf(name string, v int) {
	if v != 0 {
		o.int(name, v)
	}
}

func (o *object) uint(name string, v uint64) { o.key(name); o.b = strconv.AppendUint(o.b, v, 10) }

func (o *object) text(name, v string) { o.key(name); o.b = appendString(o.b, v) }

func (o *object) textIf(name, v string) {
	if v != "" {
		o.text(name, v)
	}
}

func (o *object) time(name string, v time.Time) { o.key(name); o.b = appendTime(o.b, v) }

// texts appends a list of strings, an absent one as none.
func (o *object) texts(name string, v []string, none string) {
	o.key(name)
	if len(v) == 0 {
		o.b = append(o.b, none...)
		return
	}
	o.b = appendStrings(o.b, v)
}

// table appends a map of strings, an absent one as none.
func (o *object) table(name string, v map[string]string, none string) {
	o.key(name)
	if len(v) == 0 {
		o.b = append(o.b, none...)
		return
	}
	o.b = appendMap(o.b, v, func(b []byte, s string) []byte { return appendString(b, s) })
}

func (o *object) indexes(ix model.RaftIndexes) {
	o.uint("CreateIndex", uint64(ix.CreateIndex))
	o.uint("ModifyIndex", uint64(ix.ModifyIndex))
}

func appendStrings[S ~string](b []byte, list []S) []byte {
	return appendList(b, list, func(b []byte, s S) []byte { return appendString(b, s) })
}

// appendList appends a list; an empty or nil one is [].
func appendList[T any](b []byte, list []T, each func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = each(b, v)
	}
	return append(b, ']')
}

// appendMap appends a map with its keys in order; an empty or nil one is {}.
func appendMap[K ~string, V any](b []byte, m map[K]V, each func([]byte, V) []byte) []byte {
	b = append(b, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = each(b, m[k])
	}
	return append(b, '}')
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendAny appends an opaque value: what configuration in HCL, JSON or msgpack decodes to.
func appendAny(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case []any:
		return appendList(b, v, appendAny)
	case []string:
		return appendStrings(b, v)
	case map[string]any:
		return appendMap(b, v, appendAny)
	case map[string]string:
		return appendMap(b, v, func(b []byte, s string) []byte { return appendString(b, s) })
	case time.Duration:
		return appendString(b, v.String())
	}
	// What is left are rare types (other widths of numbers, dumps of configuration): no hot path has them.
	text, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}

// appendFloat writes a number as encoding/json does (ECMA-262, Number::toString); JSON has no NaN, so null.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	abs, format := math.Abs(f), byte('f')
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, f, format, -1, 64)
	if format == 'e' {
		if n := len(b); n >= 4 && b[n-4] == 'e' && (b[n-3] == '-' || b[n-3] == '+') && b[n-2] == '0' {
			b[n-2] = b[n-1]
			b = b[:n-1]
		}
	}
	return b
}
