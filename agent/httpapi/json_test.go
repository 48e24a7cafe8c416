package httpapi

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lictor-mesh/lictor/model"
)

// TestStringsAreEscapedAsEncodingJSONDoes holds for every string, valid UTF-8 or not.
func TestStringsAreEscapedAsEncodingJSONDoes(t *testing.T) {
	same := func(t interface{ Fatalf(string, ...any) }, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if got := appendString(nil, s); string(got) != string(want) {
			t.Fatalf("%q: got %s, want %s", s, got, want)
		}
	}
	for _, s := range []string{"", "<a href=\"x\">&</a>", "\u2028\u2029", "\x00\x1f\x7f\b\f\n\r\t\\\"", "a\xffb", "\xe2\x80", "日本", "\U0001F600", "\xed\xa0\x80"} {
		same(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		same(t, rapid.String().Draw(t, "s")+string(rapid.SliceOf(rapid.Byte()).Draw(t, "b")))
	})
}

func TestNumbersAreWrittenAsEncodingJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		want, err := json.Marshal(f)
		if err != nil {
			return
		}
		if got := appendFloat(nil, f); string(got) != string(want) {
			t.Fatalf("%v: got %s, want %s", f, got, want)
		}
	})
	if got := string(appendFloat(nil, math.NaN())); got != "null" {
		t.Errorf("NaN is %s", got)
	}
}

// TestOpaqueValuesAreWrittenAsEncodingJSONDoes covers what configuration decodes to.
func TestOpaqueValuesAreWrittenAsEncodingJSONDoes(t *testing.T) {
	for _, v := range []any{nil, "x", true, 1, int64(-2), uint64(3), 1e21, 1e-7, 0.5, []any{1, "a", nil}, []string{"b"},
		map[string]any{"z": 1, "a": map[string]any{"b": []any{}}}, map[string]string{"k": "<"}, float32(1.5), int8(4)} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendAny(nil, v); string(got) != string(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := string(appendAny(nil, model.NewSecret("topsecret"))); strings.Contains(got, "topsecret") {
		t.Errorf("a secret is shown: %s", got)
	}
}

// TestEveryShapeIsValidJSON fills every field of the model with something, and with nothing.
func TestEveryShapeIsValidJSON(t *testing.T) {
	full := &model.Service{}
	fill(reflect.ValueOf(full).Elem())
	node, check, in, root, config := &model.Node{}, &model.Check{}, &model.Intention{}, &model.CARoot{}, &model.CAConfig{}
	for _, v := range []any{node, check, in, root, config} {
		fill(reflect.ValueOf(v).Elem())
	}
	shapes := map[string][]byte{
		"node": appendNode(nil, node), "empty node": appendNode(nil, &model.Node{}),
		"service node": appendServiceNode(nil, node, full), "empty service node": appendServiceNode(nil, &model.Node{}, &model.Service{}),
		"node service": appendNodeService(nil, full), "agent service": appendAgentService(nil, full, "dc1", "0a"),
		"empty agent service": appendAgentService(nil, &model.Service{}, "dc1", ""),
		"check":               appendCatalogCheck(nil, check), "empty check": appendCatalogCheck(nil, &model.Check{}),
		"intention": appendIntention(nil, in), "empty intention": appendIntention(nil, &model.Intention{}),
		"root": appendRoot(nil, root), "config": appendCAConfig(nil, config), "empty config": appendCAConfig(nil, &model.CAConfig{}),
		"leaf": appendLeaf(nil, &model.LeafCert{}), "member": appendMember(nil, model.Member{}),
	}
	for name, text := range shapes {
		if !json.Valid(text) {
			t.Errorf("%s: %s", name, text)
		}
		if strings.Contains(string(text), "hunter2") {
			t.Errorf("%s shows a secret: %s", name, text)
		}
	}
}

// fill sets every field to something that is not zero.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1700000000, 5)))
		return
	case model.Secret:
		v.Set(reflect.ValueOf(model.NewSecret("hunter2")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(item)
		v.SetMapIndex(key, item)
	case reflect.String:
		v.SetString(`<"x">`)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(7)
	case reflect.Interface:
		v.Set(reflect.ValueOf("opaque"))
	}
}
