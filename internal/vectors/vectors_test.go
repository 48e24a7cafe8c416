package vectors

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func fresh() bindings { return bindings{map[string]string{}} }

func TestPlaceholdersBindOnceAndIndexesRise(t *testing.T) {
	b := fresh()
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"<index:b>", "10", true}, {"<index:b>", "10", true}, {"<index:b>", "11", false},
		{"<index:a>", "10", false}, {"<index:a>", "12", false}, {"<index:a>", "7", true},
		{"<index:aa>", "11", true}, {"<index:z>", "12", false}, {"<index:b.a>", "1", true},
		{"spiffe://<uuid:a>.consul/x", "spiffe://11111111-2222-3333-4444-555555555555.consul/x", true},
		{"<uuid:a>", "11111111-2222-3333-4444-555555555556", false},
		{"<uuid:b>", "no uuid", false}, {"127.0.0.1:<port:x>", "127.0.0.1:80", true}, {"<port:x>", "80", true},
		{"<html> is text", "<html> is text", true}, {"<dir>", "<dir>", true}, {"plain", "plane", false},
		{"<pem:a><pem:b>", "-----BEGIN A-----\nx\n-----END A-----\n-----BEGIN A-----\ny\n-----END A-----\n", true},
		{"<pem:b>", "-----BEGIN A-----\ny\n-----END A-----\n", true},
	} {
		if err := b.match(c.want, c.got); (err == nil) != c.ok {
			t.Errorf("%s against %s: %v", c.want, c.got, err)
		}
	}
}

func TestComparingSeesEveryDifference(t *testing.T) {
	for _, c := range []struct {
		want, got string
		unordered bool
		ok        bool
	}{
		{`{"a":1,"b":null}`, `{"a":1,"b":null}`, false, true},
		{`{"a":1,"b":null}`, `{"b":null,"a":1}`, false, false},
		{`{"a":[]}`, `{"a":null}`, false, false},
		{`{"a":{}}`, `{"a":[]}`, false, false},
		{`[1,2]`, `[2,1]`, false, false},
		{`[1,2]`, `[2,1]`, true, true},
		{`[1,1,2]`, `[1,2,2]`, true, false},
		{`["<index:a>","<index:b>"]`, `[5,9]`, false, true},
		{`["<index:a>","<index:b>"]`, `[9,5]`, false, false},
		{`["<index:a>"]`, `["9"]`, false, true},
		{`[{"k":"<uuid:a>","n":1},{"k":"<uuid:b>","n":2}]`, `[{"k":"22222222-2222-3333-4444-555555555555","n":2},{"k":"11111111-2222-3333-4444-555555555555","n":1}]`, true, true},
		{`{"$repeat":"x","count":3,"prefix":"a","suffix":"b"}`, `"axxxb"`, false, true},
		{`{"$repeat":"x","count":3}`, `"xx"`, false, false},
		{`1`, `2`, false, false}, {`true`, `"true"`, false, false},
	} {
		want, err := parse([]byte(c.want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse([]byte(c.got))
		if err != nil {
			t.Fatal(err)
		}
		if err := fresh().compare("", want, got, c.unordered); (err == nil) != c.ok {
			t.Errorf("%s against %s: %v", c.want, c.got, err)
		}
	}
}

const recorded = `{"scenario":"s","step":"get","config":"dev","request":{"method":"GET","path":"/x","headers":{},"body":""},"response":{"status":200,"headers":{"X-Index":"<index:a>"},"body":["<index:a>"]}}
{"scenario":"s","step":"put","config":"dev","request":{"method":"PUT","path":"/x","headers":{},"body":{"a":1}},"response":{"status":200,"headers":{},"body":true}}
{"scenario":"s","step":"watch","config":"dev","request":{"method":"GET","path":"/x?index=<index:a>&wait=10s","headers":{},"body":""},"response":{"status":200,"headers":{"X-Index":"<index:b>"},"body":["<index:b>"]},"blocking":{"issued_before":"put","result":"woken","woken_by":"put","elapsed_s":0.4}}
{"scenario":"s","step":"odd","config":"dev","request":{"method":"GET","path":"/odd","headers":{},"body":""},"response":{"status":404,"headers":{},"body":"no\n"}}
`

// TestScenarioIsReplayed plays a small record against a server with one value and long polls.
func TestScenarioIsReplayed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "record.jsonl")
	if err := os.WriteFile(file, []byte(recorded), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := Load(file)
	if err != nil || len(list) != 1 || len(list[0].Exchanges) != 4 {
		t.Fatalf("%v %v", list, err)
	}
	wrote := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		index := "7"
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/odd":
			http.Error(w, "no", http.StatusTeapot)
			return
		case r.Method == http.MethodPut:
			body, _ := io.ReadAll(r.Body)
			wrote <- string(body)
			_, _ = io.WriteString(w, "true")
			return
		case r.URL.Query().Get("index") == "7":
			select {
			case <-wrote:
			case <-time.After(5 * time.Second):
			}
			index = "9"
		}
		w.Header().Set("X-Index", index)
		_, _ = io.WriteString(w, "["+index+"]")
	}))
	defer s.Close()
	p := Player{Base: map[string]string{"a": s.URL}, Differ: map[string]string{"s/odd": "a teapot", "s/none": "is not there"}}
	p.Play(t, list[0])
	if got := strings.Join(p.Unused(), " "); got != "s/none" {
		t.Errorf("unused: %s", got)
	}
}
