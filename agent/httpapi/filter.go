package httpapi

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/go-bexpr/grammar"

	"github.com/lictor-mesh/lictor/model/fault"
)

// A ?filter is parsed by go-bexpr's grammar and evaluated here against tables of selectors: functions on the
// model's own types. go-bexpr's evaluator would need a second, tagged struct for each shape, and reflection
// for each row.

// predicate tells whether a row stays.
type predicate func(row any) bool

// selector is one name that a filter may use on a value of some type.
type selector struct {
	// One of these is set. Each takes the value that holds the selector.
	text   func(any) string
	number func(any) int
	flag   func(any) bool
	texts  func(any) []string
	table  func(any) map[string]string
	// part leads to another value, nil when it is absent; list to several, of which any may match; dict to
	// one by a key that the filter names.
	part func(any) any
	list func(any) []any
	dict func(any, string) (any, bool)
	// size is the length of a list or dict.
	size func(any) int
	// fields are the selectors of what part, list and dict lead to.
	fields fields
}

// fields are the selectors of one type.
type fields map[string]selector

// maxFilterSteps bounds the parser's work, which grows exponentially with the nesting of parentheses: about 30 ms.
const maxFilterSteps = 400_000

// compileFilter makes a predicate on rows that f describes. An empty expression is nil: all rows stay. Errors
// are of kind fault.Invalid.
func compileFilter(expression string, f fields) (predicate, error) {
	p, err := parseFilter(expression, f)
	if err != nil {
		return nil, filterFault("Failed to create boolean expression evaluator: " + err.Error())
	}
	return p, nil
}

func filterFault(text string) error {
	return fault.New(fault.Invalid, "%s", text).WithHint("a filter is like: ServiceMeta.env == prod and \"v1\" in ServiceTags")
}

func parseFilter(expression string, f fields) (predicate, error) {
	if expression == "" {
		return nil, nil
	}
	ast, err := grammar.Parse("", []byte(expression), grammar.MaxExpressions(maxFilterSteps))
	if err != nil {
		// The compatible grammar has no collection expressions, so they are not what was expected.
		return nil, filterError(strings.Replace(err.Error(), `"all", "any", `, "", 1))
	}
	return compile(ast.(grammar.Expression), f)
}

// filterError is a text for whoever wrote the filter.
type filterError string

// Error implements error.
func (e filterError) Error() string { return string(e) }

func compile(e grammar.Expression, f fields) (predicate, error) {
	switch e := e.(type) {
	case *grammar.UnaryExpression:
		p, err := compile(e.Operand, f)
		if err != nil {
			return nil, err
		}
		return func(row any) bool { return !p(row) }, nil
	case *grammar.BinaryExpression:
		left, err := compile(e.Left, f)
		if err != nil {
			return nil, err
		}
		right, err := compile(e.Right, f)
		if err != nil {
			return nil, err
		}
		if e.Operator == grammar.BinaryOpAnd {
			return func(row any) bool { return left(row) && right(row) }, nil
		}
		return func(row any) bool { return left(row) || right(row) }, nil
	case *grammar.MatchExpression:
		m := match{selector: e.Selector.String(), op: e.Operator, missing: e.Operator.NotPresentDisposition()}
		if e.Value != nil {
			m.value = e.Value.Raw
		}
		if e.Selector.Type != grammar.SelectorTypeBexpr {
			return nil, m.badSelector()
		}
		return m.compile(e.Selector.Path, f)
	default:
		return nil, filterError("the expressions any and all are not supported")
	}
}

// match is one comparison of a filter.
type match struct {
	selector string
	op       grammar.MatchOperator
	value    string
	// missing is the answer for a map key that is not there.
	missing bool
}

func (m *match) badSelector() error {
	return filterError("Selector " + strconv.Quote(m.selector) + " is not valid")
}

func (m *match) badOperator() error {
	return filterError("Invalid match operator " + strconv.Quote(m.op.String()) + " for selector " + strconv.Quote(m.selector))
}

// compile resolves path in f.
func (m *match) compile(path []string, f fields) (predicate, error) {
	s, ok := f[path[0]]
	if !ok {
		return nil, m.badSelector()
	}
	if len(path) == 1 {
		return m.leaf(&s)
	}
	switch rest := path[1:]; {
	case s.part != nil:
		p, err := m.compile(rest, s.fields)
		if err != nil {
			return nil, err
		}
		return func(v any) bool { inner := s.part(v); return inner != nil && p(inner) }, nil
	case s.list != nil:
		p, err := m.compile(rest, s.fields)
		if err != nil {
			return nil, err
		}
		return func(v any) bool {
			for _, item := range s.list(v) {
				if p(item) {
					return true
				}
			}
			return false
		}, nil
	case s.dict != nil && len(rest) > 1:
		p, err := m.compile(rest[1:], s.fields)
		if err != nil {
			return nil, err
		}
		return func(v any) bool {
			inner, ok := s.dict(v, rest[0])
			if !ok {
				return m.missing
			}
			return p(inner)
		}, nil
	case s.table != nil && len(rest) == 1:
		test, err := m.onText()
		if err != nil {
			return nil, err
		}
		return func(v any) bool {
			text, ok := s.table(v)[rest[0]]
			if !ok {
				return m.missing
			}
			return test(text)
		}, nil
	default:
		return nil, m.badSelector()
	}
}

// leaf compares what the last name of the path selects.
func (m *match) leaf(s *selector) (predicate, error) {
	switch {
	case s.text != nil:
		test, err := m.onText()
		if err != nil {
			return nil, err
		}
		return func(v any) bool { return test(s.text(v)) }, nil
	case s.number != nil:
		want, err := strconv.ParseInt(m.value, 0, 64)
		return equality(m, want, err, func(v any) int64 { return int64(s.number(v)) })
	case s.flag != nil:
		want, err := strconv.ParseBool(m.value)
		return equality(m, want, err, s.flag)
	case s.texts != nil:
		return m.onCollection(func(v any) int { return len(s.texts(v)) }, func(v any) bool {
			for _, t := range s.texts(v) {
				if t == m.value {
					return true
				}
			}
			return false
		})
	case s.table != nil:
		return m.onCollection(func(v any) int { return len(s.table(v)) }, func(v any) bool { _, ok := s.table(v)[m.value]; return ok })
	case s.dict != nil:
		return m.onCollection(s.size, func(v any) bool { _, ok := s.dict(v, m.value); return ok })
	case s.list != nil:
		return m.onCollection(s.size, nil)
	default:
		return nil, m.badOperator()
	}
}

// onText is the comparison with a string.
func (m *match) onText() (func(string) bool, error) {
	switch m.op {
	case grammar.MatchEqual:
		return func(s string) bool { return s == m.value }, nil
	case grammar.MatchNotEqual:
		return func(s string) bool { return s != m.value }, nil
	case grammar.MatchIn, grammar.MatchContains:
		return func(s string) bool { return strings.Contains(s, m.value) }, nil
	case grammar.MatchNotIn, grammar.MatchNotContains:
		return func(s string) bool { return !strings.Contains(s, m.value) }, nil
	case grammar.MatchMatches, grammar.MatchNotMatches:
		re, err := regexp.Compile(m.value)
		if err != nil {
			return nil, filterError("Failed to compile regular expression " + strconv.Quote(m.value) + ": " + err.Error())
		}
		want := m.op == grammar.MatchMatches
		return func(s string) bool { return re.MatchString(s) == want }, nil
	default:
		return nil, m.badOperator()
	}
}

// equality compares a number or a truth value. parsed is the error of reading want from the filter.
func equality[T comparable](m *match, want T, parsed error, get func(any) T) (predicate, error) {
	if m.op != grammar.MatchEqual && m.op != grammar.MatchNotEqual {
		return nil, m.badOperator()
	}
	if parsed != nil {
		return nil, filterError("Failed to coerce value " + strconv.Quote(m.value) + " for selector " + strconv.Quote(m.selector) + ": " + parsed.Error())
	}
	if m.op == grammar.MatchEqual {
		return func(v any) bool { return get(v) == want }, nil
	}
	return func(v any) bool { return get(v) != want }, nil
}

// onCollection asks for emptiness and, where has is given, for membership.
func (m *match) onCollection(size func(any) int, has predicate) (predicate, error) {
	switch m.op {
	case grammar.MatchIsEmpty:
		return func(v any) bool { return size(v) == 0 }, nil
	case grammar.MatchIsNotEmpty:
		return func(v any) bool { return size(v) > 0 }, nil
	case grammar.MatchIn, grammar.MatchContains:
		if has != nil {
			return has, nil
		}
	case grammar.MatchNotIn, grammar.MatchNotContains:
		if has != nil {
			return func(v any) bool { return !has(v) }, nil
		}
	}
	return nil, m.badOperator()
}

// The constructors below tie a selector to the type of the value that holds it.

func textOf[T any, S ~string](get func(T) S) selector {
	return selector{text: func(v any) string { return string(get(v.(T))) }}
}

func numberOf[T any](get func(T) int) selector {
	return selector{number: func(v any) int { return get(v.(T)) }}
}

func flagOf[T any](get func(T) bool) selector {
	return selector{flag: func(v any) bool { return get(v.(T)) }}
}

func textsOf[T any](get func(T) []string) selector {
	return selector{texts: func(v any) []string { return get(v.(T)) }}
}

func tableOf[T any](get func(T) map[string]string) selector {
	return selector{table: func(v any) map[string]string { return get(v.(T)) }}
}

func partOf[T, U any](get func(T) *U, f fields) selector {
	return selector{fields: f, part: func(v any) any {
		if p := get(v.(T)); p != nil {
			return p
		}
		return nil
	}}
}

// listOf leads to pointers to a list's elements.
func listOf[T, U any](get func(T) []U, f fields) selector {
	return selector{
		fields: f,
		size:   func(v any) int { return len(get(v.(T))) },
		list: func(v any) []any {
			items := get(v.(T))
			out := make([]any, len(items))
			for i := range items {
				out[i] = &items[i]
			}
			return out
		},
	}
}

func dictOf[T, U any](get func(T) map[string]U, f fields) selector {
	return selector{
		fields: f,
		size:   func(v any) int { return len(get(v.(T))) },
		dict:   func(v any, key string) (any, bool) { item, ok := get(v.(T))[key]; return &item, ok },
	}
}
