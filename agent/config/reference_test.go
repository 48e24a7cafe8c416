package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keys are the lines of testdata/keys.txt: a dotted key and a value as JSON.
func keys(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if key, value, ok := strings.Cut(line, " "); ok && key != "#" {
			out[key] = value
		}
	}
	return out
}

func TestEveryKeyOfTheReferenceParses(t *testing.T) {
	for key, value := range keys(t) {
		text := value
		path := strings.Split(key, ".")
		for i := len(path) - 1; i >= 0; i-- {
			text = fmt.Sprintf("{%q: %s}", path[i], text)
		}
		b, err := newBuilder()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.text("k.json", "json", []byte(text)); err != nil {
			t.Errorf("JSON %s: %v", key, err)
		}
		if err := b.text("k.hcl", "hcl", []byte(hclOf(path, value))); err != nil {
			t.Errorf("HCL %s: %v", key, err)
		}
	}
	if n := len(keys(t)); n < 230 {
		t.Errorf("only %d keys in the list", n)
	}
}

// hclOf writes a key and a JSON value as blocks.
func hclOf(path []string, value string) string {
	var v any
	_ = json.Unmarshal([]byte(value), &v)
	text := path[len(path)-1] + " = " + strings.ReplaceAll(value, `":`, `" = `)
	if _, ok := v.(map[string]any); ok {
		text = path[len(path)-1] + " " + strings.ReplaceAll(value, `":`, `" = `)
		text = strings.ReplaceAll(text, ",", "\n")
		if strings.Contains(value, "[") {
			text = path[len(path)-1] + " = " + strings.ReplaceAll(value, `":`, `" = `)
		}
	}
	for i := len(path) - 2; i >= 0; i-- {
		text = path[i] + " {\n" + text + "\n}"
	}
	return text
}

func TestEveryFlagOfTheReferenceIsThere(t *testing.T) {
	text, err := os.ReadFile("testdata/flags.txt")
	if err != nil {
		t.Fatal(err)
	}
	set := flag.NewFlagSet("agent", flag.ContinueOnError)
	new(Flags).Bind(set)
	var usage bytes.Buffer
	Usage(&usage)
	for _, name := range strings.Fields(string(text)) {
		if set.Lookup(strings.TrimPrefix(name, "-")) == nil {
			t.Errorf("no flag %s", name)
		}
		if !strings.Contains(usage.String(), "\n  "+name) && !strings.HasPrefix(usage.String(), "  "+name) {
			t.Errorf("the help lacks %s", name)
		}
	}
}

func TestRecordedConfigurationsLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/*.hcl")
	if err != nil || len(files) < 20 {
		t.Fatal(err, len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"-config-file=x.hcl"}
		if !strings.Contains(string(text), "data_dir") {
			args = append(args, "-dev")
		}
		c, _, err := load(t, disk{"x.hcl": string(text)}, args...)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !strings.HasSuffix(c.HTTPAddrs[0].Address, ":18500") {
			t.Errorf("%s: %v", file, c.HTTPAddrs)
		}
	}
}

func TestShownConfigurationIsAsRecorded(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors/dev.hcl")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile("testdata/debugconfig.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(mustLoad(t, disk{"x.hcl": string(text)}, "-dev", "-config-file=x.hcl").Sanitized())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	for name, value := range got {
		recorded, known := want[name]
		if _, nested := value.(map[string]any); nested && known {
			continue
		}
		if !known {
			t.Errorf("%s is not a name of the recorded configuration", name)
		} else if a, b := fmt.Sprint(value), fmt.Sprint(recorded); a != b && !strings.Contains(b, "<") {
			t.Errorf("%s: got %s, recorded %s", name, a, b)
		}
	}
}

var update = flag.Bool("update", false, "write docs/config.md")

func TestDocsListEveryOption(t *testing.T) {
	var page bytes.Buffer
	Markdown(&page)
	const path = "../../docs/config.md"
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, page.Bytes()) {
		t.Errorf("%s is old; run go test ./agent/config -run Docs -update", path)
	}
}
