package tree

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestPositionsAreThoseOfTheText(t *testing.T) {
	j, err := ParseJSONFile([]byte("{\n  \"a\": 1,\n  \"b\": {\"c\": [true,\n null]}\n}"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseHCL([]byte("\n  a = 1\nb {\n c = [true,\n false]\n}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		v    *Value
		want [5]Pos
	}{
		{"json", j, [5]Pos{{2, 3}, {2, 8}, {3, 3}, {3, 9}, {4, 2}}},
		{"hcl", h, [5]Pos{{2, 3}, {2, 7}, {3, 1}, {4, 2}, {5, 2}}},
	} {
		b := c.v.Fields[1].Value
		got := [5]Pos{c.v.Fields[0].Pos, c.v.Fields[0].Value.Pos, c.v.Fields[1].Pos, b.Fields[0].Pos, b.Fields[0].Value.Items[1].Pos}
		if got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRepeatedBlocksBecomeAList(t *testing.T) {
	v, err := ParseHCL([]byte(`a { x = 0x10 } a { x = -2 } b { y = 1.5 } c "label" "more" { z = "t" } d = <<EOF
text
EOF
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.OpaqueMap("")
	want := map[string]any{
		"a": []any{map[string]any{"x": int64(16)}, map[string]any{"x": int64(-2)}},
		"b": map[string]any{"y": 1.5},
		"c": map[string]any{"label": map[string]any{"more": map[string]any{"z": "t"}}},
		"d": "text\n",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestDeepNestingIsRefusedNotCrashed(t *testing.T) {
	for _, open := range []string{"a {", "a = [["} {
		_, err := ParseHCL([]byte(strings.Repeat(open, 1_000_000)))
		var at *Error
		if !errors.As(err, &at) || !strings.Contains(at.Reason, "nested") {
			t.Errorf("%s: got %.80v", open, err)
		}
	}
	if _, _, err := ParseJSON([]byte(strings.Repeat("[", 1_000_000))); err == nil {
		t.Error("JSON: accepted")
	}
}

func TestFirstJSONValueIsReadAndTheRestReturned(t *testing.T) {
	v, rest, err := ParseJSON([]byte(`{"a":1} garbage`))
	if err != nil || len(v.Fields) != 1 || string(rest) != " garbage" {
		t.Errorf("got %v, %q, %v", v, rest, err)
	}
	if _, _, err := ParseJSON(nil); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if _, _, err := ParseJSON([]byte("{")); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
}

func TestNearestKey(t *testing.T) {
	keys := []string{"interval", "timeout", "enable_tag_override", "id", "ttl"}
	for key, want := range map[string]string{"intervall": "interval", "EnableTagOverride": "enable_tag_override", "tmeout": "timeout", "zzzz": "", "i": "id", "foo": ""} {
		if got, ok := Nearest(key, keys); got != want || ok != (want != "") {
			t.Errorf("%s: got %q", key, got)
		}
	}
}
