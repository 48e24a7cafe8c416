package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"sort"
	"strings"
)

// ParseJSON reads the first JSON value of src and returns it with what follows it. Errors are those of
// encoding/json (io.EOF for an empty text), whose texts clients of the HTTP API see.
func ParseJSON(src []byte) (v *Value, rest []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(src))
	// The scanner behind Decode refuses syntax errors and absurd nesting before the walk below recurses.
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return nil, nil, err
	}
	end := int(dec.InputOffset())
	walk := jsonWalk{dec: json.NewDecoder(bytes.NewReader(src[:end])), src: src}
	walk.dec.UseNumber()
	v, err = walk.value()
	return v, src[end:], err
}

// ParseJSONFile reads src as a file that is one JSON object. Errors are of type *Error.
func ParseJSONFile(src []byte) (*Value, error) {
	v, rest, err := ParseJSON(src)
	if err != nil {
		pos := Pos{}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			pos = position(src, int(syntax.Offset)-1)
		} else {
			pos = position(src, len(src))
		}
		return nil, &Error{Pos: pos, Reason: err.Error()}
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		start := len(src) - len(bytes.TrimLeft(rest, " \t\r\n"))
		return nil, &Error{Pos: position(src, start), Reason: "text after the JSON object; a file holds one object"}
	}
	if v.Kind != Object {
		return nil, &Error{Pos: v.Pos, Reason: "expected a JSON object, got " + v.Kind.String()}
	}
	return v, nil
}

type jsonWalk struct {
	dec   *json.Decoder
	src   []byte
	lines []int
}

// pos is the place of the next token: InputOffset ends the last one, then blanks and separators follow.
func (w *jsonWalk) pos() Pos {
	at := int(w.dec.InputOffset())
	for at < len(w.src) && strings.IndexByte(" \t\r\n,:", w.src[at]) >= 0 {
		at++
	}
	if w.lines == nil {
		w.lines = []int{0}
		for i, c := range w.src {
			if c == '\n' {
				w.lines = append(w.lines, i+1)
			}
		}
	}
	line := sort.SearchInts(w.lines, at+1)
	return Pos{Line: line, Column: at - w.lines[line-1] + 1}
}

func (w *jsonWalk) value() (*Value, error) {
	v := &Value{Pos: w.pos()}
	token, err := w.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case bool:
		v.Kind, v.Bool = Bool, t
	case json.Number:
		v.Kind, v.Text = Number, t.String()
	case string:
		v.Kind, v.Text = String, t
	case json.Delim:
		if t == '[' {
			v.Kind = List
			return v, w.items(v)
		}
		v.Kind = Object
		return v, w.fields(v)
	}
	return v, nil
}

func (w *jsonWalk) items(v *Value) error {
	for w.dec.More() {
		item, err := w.value()
		if err != nil {
			return err
		}
		v.Items = append(v.Items, item)
	}
	_, err := w.dec.Token()
	return err
}

func (w *jsonWalk) fields(v *Value) error {
	for w.dec.More() {
		pos := w.pos()
		token, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		field, err := w.value()
		if err != nil {
			return err
		}
		v.Fields = append(v.Fields, Field{Key: key, Pos: pos, Value: field})
	}
	_, err := w.dec.Token()
	return err
}

func position(src []byte, offset int) Pos {
	offset = max(0, min(offset, len(src)))
	before := src[:offset]
	return Pos{Line: bytes.Count(before, []byte("\n")) + 1, Column: offset - bytes.LastIndexByte(before, '\n')}
}
