package cli

import (
	"fmt"
	"slices"
	"strings"
)

// text is a flag with any value; help shows it as <value>.
type text string

func (t *text) String() string     { return string(*t) }
func (t *text) Set(s string) error { *t = text(s); return nil }

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// pairs is a repeatable flag of the form key=value.
type pairs map[string]string

func (p *pairs) String() string {
	var out []string
	for k, v := range *p {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func (p *pairs) Set(s string) error {
	k, v, ok := strings.Cut(s, "=")
	if !ok || k == "" {
		return fmt.Errorf("%q is not of the form key=value", s)
	}
	if *p == nil {
		*p = make(pairs)
	}
	(*p)[k] = v
	return nil
}

// joinPairs renders a map as "k=v" sorted by key, with sep between.
func joinPairs(m map[string]string, sep string) string {
	out := make([]string, 0, len(m))
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, sep)
}
