package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
)

// value is a JSON value that knows the order of its keys.
type value struct {
	kind  byte // 'o' object, 'a' array, 's' string, 'n' number, 'l' literal
	text  string
	keys  []string
	items []*value
}

func parse(src []byte) (*value, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	v, err := next(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more than one JSON value")
	}
	return v, nil
}

func next(d *json.Decoder) (*value, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		v := &value{kind: 'a'}
		if t == '{' {
			v.kind = 'o'
		}
		for d.More() {
			if v.kind == 'o' {
				k, err := d.Token()
				if err != nil {
					return nil, err
				}
				v.keys = append(v.keys, k.(string))
			}
			item, err := next(d)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, item)
		}
		_, err := d.Token()
		return v, err
	case string:
		return &value{kind: 's', text: t}, nil
	case json.Number:
		return &value{kind: 'n', text: t.String()}, nil
	default:
		return &value{kind: 'l', text: fmt.Sprint(t)}, nil
	}
}

// compare compares a JSON value with its recorded form: keys in their order, placeholders bound as they come.
// b is left as it was when they differ.
func (b bindings) compare(path string, want, got *value, unordered bool) error {
	if want.kind == 's' && want.text == "<same as self>" {
		return nil
	}
	switch {
	case want.kind == 's' && got.kind == 's':
		return prefixed(path, b.match(want.text, got.text))
	case want.kind == 's' && got.kind == 'n' && placeholder.FindString(want.text) == want.text:
		return prefixed(path, b.match(want.text, got.text))
	case want.kind == 'o' && want.made():
		var m made
		raw := want.json()
		if json.Unmarshal([]byte(raw), &m) == nil {
			text, _ := m.text()
			return prefixed(path, b.match(text, got.text))
		}
	case want.kind != got.kind:
		return fmt.Errorf("%s: want %s, got %s", path, short(want.json()), short(got.json()))
	case want.kind == 'o':
		return b.objects(path, want, got, unordered)
	case want.kind == 'a' && unordered:
		return b.sets(path, want, got)
	case want.kind == 'a':
		if len(want.items) != len(got.items) {
			return fmt.Errorf("%s: want %d elements, got %d: %s", path, len(want.items), len(got.items), short(got.json()))
		}
		for i := range want.items {
			if err := b.compare(fmt.Sprintf("%s[%d]", path, i), want.items[i], got.items[i], unordered); err != nil {
				return err
			}
		}
		return nil
	}
	if want.text != got.text {
		return fmt.Errorf("%s: want %s, got %s", path, want.text, got.text)
	}
	return nil
}

func prefixed(path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// made tells whether the value describes a long text.
func (v *value) made() bool {
	for _, k := range v.keys {
		if k == "$repeat" || k == "$base64" {
			return true
		}
	}
	return false
}

func (b bindings) objects(path string, want, got *value, unordered bool) error {
	if strings.Join(want.keys, " ") != strings.Join(got.keys, " ") {
		return fmt.Errorf("%s: want keys %v, got %v", path, want.keys, got.keys)
	}
	for i, k := range want.keys {
		if err := b.compare(path+"."+k, want.items[i], got.items[i], unordered); err != nil {
			return err
		}
	}
	return nil
}

// sets compares lists whose order does not count, by trying which element is which.
func (b bindings) sets(path string, want, got *value) error {
	if len(want.items) != len(got.items) {
		return fmt.Errorf("%s: want %d elements, got %d: %s", path, len(want.items), len(got.items), short(got.json()))
	}
	var last error
	used := make([]bool, len(got.items))
	var place func(n int, b bindings) (bindings, bool)
	place = func(n int, b bindings) (bindings, bool) {
		if n == len(want.items) {
			return b, true
		}
		for i := range got.items {
			if used[i] {
				continue
			}
			try := b.clone()
			if err := try.compare(fmt.Sprintf("%s[%d]", path, n), want.items[n], got.items[i], true); err != nil {
				last = err
				continue
			}
			used[i] = true
			if done, ok := place(n+1, try); ok {
				return done, true
			}
			used[i] = false
		}
		return b, false
	}
	done, ok := place(0, b)
	if !ok {
		return fmt.Errorf("%s: no order fits; the last try: %w", path, last)
	}
	maps.Copy(b.values, done.values)
	return nil
}

func (v *value) json() string {
	switch v.kind {
	case 's':
		t, _ := json.Marshal(v.text)
		return string(t)
	case 'n', 'l':
		if v.text == "<nil>" {
			return "null"
		}
		return v.text
	}
	parts := make([]string, len(v.items))
	for i, item := range v.items {
		parts[i] = item.json()
		if v.kind == 'o' {
			k, _ := json.Marshal(v.keys[i])
			parts[i] = string(k) + ":" + parts[i]
		}
	}
	if v.kind == 'o' {
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "[" + strings.Join(parts, ",") + "]"
}
