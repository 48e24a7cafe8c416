// Package tree reads JSON and HCL (v1) into one ordered tree whose every value knows its line and column.
//
// Whoever decodes a file walks this tree instead of maps, so that an error can name file, line and key, that
// a key given twice is seen, and that the first unknown key is the first one in the text. The package does no
// I/O, bounds the nesting it accepts, and turns a parser's panic on hostile input into an error.
package tree

import (
	"fmt"
	"math"
	"strconv"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds. The zero Kind is JSON's null.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
)

var kindNames = [...]string{"null", "bool", "number", "string", "array", "object"}

// String names the kind as encoding/json does in its errors.
func (k Kind) String() string { return kindNames[k] }

// Pos is a place in a text: line and column count from 1, columns in bytes. The zero Pos is unknown.
type Pos struct{ Line, Column int }

// Value is a node of the tree. Only the members of its Kind are set.
type Value struct {
	Kind Kind
	Pos  Pos
	Bool bool
	// Text is a string's content, or a number's decimal literal.
	Text string
	// Items are a list's elements.
	Items []*Value
	// Fields are an object's, in the order of the text. A key can occur several times.
	Fields []Field
}

// Field is one key of an object with its value. Blocks of HCL (`service { }`) are fields too; labels of
// a block are nested objects.
type Field struct {
	Key   string
	Pos   Pos
	Value *Value
}

// Group is all that one object says under one key.
type Group struct {
	Key string
	Pos Pos
	// Values are in the order of the text; there is at least one.
	Values []*Value
	// Last is the place of the last occurrence.
	Last Pos
}

// Groups gathers the fields of an object by their exact key, in the order in which keys first occur.
func (v *Value) Groups() []Group {
	groups := make([]Group, 0, len(v.Fields))
	at := make(map[string]int, len(v.Fields))
	for _, f := range v.Fields {
		i, seen := at[f.Key]
		if !seen {
			i = len(groups)
			at[f.Key] = i
			groups = append(groups, Group{Key: f.Key, Pos: f.Pos})
		}
		groups[i].Values = append(groups[i].Values, f.Value)
		groups[i].Last = f.Pos
	}
	return groups
}

// Error is a fault in a text: where, at which key (a dotted path, may be empty), and what.
type Error struct {
	Pos    Pos
	Path   string
	Reason string
}

// Error says "At line:column: reason", as HCL's parser does.
func (e *Error) Error() string {
	text := e.Reason
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Pos.Line == 0 {
		return text
	}
	return fmt.Sprintf("At %d:%d: %s", e.Pos.Line, e.Pos.Column, text)
}

// In says "file:line:column: reason", the form that editors jump to.
func (e *Error) In(file string) string {
	text := e.Reason
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Pos.Line == 0 {
		return file + ": " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", file, e.Pos.Line, e.Pos.Column, text)
}

// Opaque turns v into plain Go values: string, bool, int64, float64 (numbers that are no int64), []any and
// map[string]any. A null in a map is dropped, so that the key reads as absent; a null in a list is an error,
// since dropping it would move the elements behind it. Blocks that repeat a key become a list.
func (v *Value) Opaque(path string) (any, error) {
	switch v.Kind {
	case Bool:
		return v.Bool, nil
	case Number:
		return number(v.Text), nil
	case String:
		return v.Text, nil
	case List:
		return opaqueList(path, v.Items)
	case Object:
		return v.OpaqueMap(path)
	default:
		return nil, nil
	}
}

// OpaqueMap is Opaque of an object's fields.
func (v *Value) OpaqueMap(path string) (map[string]any, error) {
	out := make(map[string]any, len(v.Fields))
	for _, g := range v.Groups() {
		at := path + "." + g.Key
		var got any
		var err error
		if len(g.Values) == 1 {
			got, err = g.Values[0].Opaque(at)
		} else {
			got, err = opaqueList(at, g.Values)
		}
		if err != nil {
			return nil, err
		}
		if got != nil {
			out[g.Key] = got
		}
	}
	return out, nil
}

func opaqueList(path string, items []*Value) (any, error) {
	list := make([]any, 0, len(items))
	for i, item := range items {
		if item.Kind == Null {
			return nil, &Error{Pos: item.Pos, Path: path, Reason: fmt.Sprintf("element %d is null; remove it or give it a value", i+1)}
		}
		got, err := item.Opaque(path)
		if err != nil {
			return nil, err
		}
		list = append(list, got)
	}
	return list, nil
}

// number makes whole numbers int64 however they were written (5, 5.0, 5e0), so that equal configuration is equal.
func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		// Out of float64's range: keep what can be stored and encoded as JSON.
		return math.Copysign(math.MaxFloat64, f)
	}
	const exact = 1 << 53
	if f == math.Trunc(f) && math.Abs(f) < exact {
		return int64(f)
	}
	return f
}
