package vectors

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// bindings are the placeholders of one scenario that have a value.
type bindings struct {
	values map[string]string
}

// placeholder matches <kind> and <kind:name>; other text in angle brackets is itself.
var placeholder = regexp.MustCompile(`<(index|hashindex|uuid|hash|hex|serial|pem|port|time|duration|measure|int|float|string|binary|html|file)(:[A-Za-z0-9._]+)?>`)

// patterns are what the kinds stand for inside a text.
var patterns = map[string]string{
	"index": `[0-9]+`, "hashindex": `[0-9]+`, "uuid": `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"hash": `[0-9A-Za-z+/=_-]+`, "hex": `[0-9a-f]{2}(?::[0-9a-f]{2})*`, "serial": `[0-9a-f]{2}(?::[0-9a-f]{2})*`,
	"pem": `(?s:-----BEGIN [A-Z ]+-----\n.*?-----END [A-Z ]+-----\n)`, "port": `[0-9]+`,
	"time": `.+?`, "duration": `.+?`, "measure": `.+?`, "int": `-?[0-9]+`, "float": `-?[0-9.e+-]+`, "string": `(?s:.*)`,
	"binary": `(?s:.*)`, "html": `(?s:.*)`, "file": `(?s:.*)`,
}

// fill puts values in the place of the placeholders of a request.
func (b bindings) fill(text string) (string, error) {
	var missing string
	out := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		v, ok := b.values[p]
		if !ok {
			missing = p
		}
		return v
	})
	if missing != "" {
		return "", fmt.Errorf("%s has no value yet", missing)
	}
	return out, nil
}

// match compares a text with its recorded form, and binds the placeholders that are new.
func (b bindings) match(want, got string) error {
	if !placeholder.MatchString(want) {
		if want != got {
			return fmt.Errorf("want %s, got %s", short(want), short(got))
		}
		return nil
	}
	var expr strings.Builder
	var names []string
	expr.WriteString(`^`)
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(want, -1) {
		expr.WriteString(regexp.QuoteMeta(want[last:at[0]]))
		last = at[1]
		name, kind := want[at[0]:at[1]], want[at[2]:at[3]]
		if v, ok := b.values[name]; ok {
			expr.WriteString(regexp.QuoteMeta(v))
			continue
		}
		expr.WriteString(`(` + patterns[kind] + `)`)
		if at[4] < 0 {
			name = ""
		}
		names = append(names, name)
	}
	expr.WriteString(regexp.QuoteMeta(want[last:]) + `$`)
	found := regexp.MustCompile(expr.String()).FindStringSubmatch(got)
	if found == nil {
		known, _ := b.fillKnown(want)
		return fmt.Errorf("want %s, got %s", short(known), short(got))
	}
	for i, name := range names {
		if name == "" {
			continue
		}
		if err := b.bind(name, found[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// fillKnown shows a recorded text with what is known of it.
func (b bindings) fillKnown(text string) (string, bool) {
	all := true
	out := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		if v, ok := b.values[p]; ok {
			return v + p
		}
		all = false
		return p
	})
	return out, all
}

// bind gives a placeholder its value. Indexes must rise with their letters, and different letters differ.
func (b bindings) bind(name, value string) error {
	if v, ok := b.values[name]; ok {
		if v != value {
			return fmt.Errorf("%s is %s, got %s", name, short(v), short(value))
		}
		return nil
	}
	if space, letters, ok := indexName(name); ok {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%s is no index: %s", name, short(value))
		}
		for other, v := range b.values {
			otherSpace, otherLetters, ok := indexName(other)
			if !ok || otherSpace != space {
				continue
			}
			m, _ := strconv.ParseUint(v, 10, 64)
			if before(letters, otherLetters) != (n < m) || n == m {
				return fmt.Errorf("%s=%d beside %s=%d: indexes must rise with their letters", name, n, other, m)
			}
		}
	}
	b.values[name] = value
	return nil
}

// indexName splits <index:b.a> into the agent and the letters.
func indexName(name string) (space, letters string, ok bool) {
	rest, ok := strings.CutPrefix(name, "<index:")
	if !ok {
		return "", "", false
	}
	rest = strings.TrimSuffix(rest, ">")
	if agent, l, two := strings.Cut(rest, "."); two {
		return agent, l, true
	}
	return "", rest, true
}

// before orders the letters a, b, ... z, aa, ab.
func before(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func (b bindings) clone() bindings { return bindings{maps.Clone(b.values)} }

func short(s string) string {
	if len(s) > 300 {
		s = s[:200] + fmt.Sprintf("... (%d bytes) ...", len(s)) + s[len(s)-60:]
	}
	return strconv.Quote(s)
}
