package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/agent/config"
)

// logFiles returns the contents of the log files in dir, oldest first.
func logFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "a-*.log"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	var out []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}

func TestLogFilesRotateBySizeAndAgeAndAreBounded(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_700_000_000, 0)
	l, err := openLogFile(config.Log{File: filepath.Join(dir, "a.log"), RotateBytes: 10, RotateDuration: time.Hour, RotateMaxFiles: 2},
		func() time.Time { now = now.Add(time.Nanosecond); return now })
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	write := func(text string) {
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("12345")
	write("67890")
	write("x") // beyond ten bytes
	if got, want := logFiles(t, dir), []string{"1234567890", "x"}; !slices.Equal(got, want) {
		t.Fatalf("files %q, want %q", got, want)
	}
	now = now.Add(time.Hour)
	write("y")
	write("a line longer than the limit stays whole")
	if got, want := logFiles(t, dir), []string{"x", "y", "a line longer than the limit stays whole"}; !slices.Equal(got, want) {
		t.Fatalf("files %q, want two old ones and %q", got, want)
	}
}

func TestALogFileThatCannotBeWrittenIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.log")
	if _, _, err := logOutput(new(bytes.Buffer), config.Log{File: path}); err == nil || !bytes.Contains([]byte(err.Error()), []byte(path)) {
		t.Fatalf("error %v does not name %s", err, path)
	}
}

func TestWhatIsLoggedBeforeTheBannerComesAfterIt(t *testing.T) {
	var out bytes.Buffer
	g := &gatedWriter{out: &out}
	if _, err := g.Write([]byte("early ")); err != nil {
		t.Fatal(err)
	}
	out.WriteString("banner ")
	g.open()
	g.open()
	if _, err := g.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "banner early late" {
		t.Errorf("written %q", got)
	}
}
