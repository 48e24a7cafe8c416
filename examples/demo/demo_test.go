package demo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lictor-mesh/lictor/examples/demo"
)

// binary is the program under test: the one that make built, or one built here.
func binary(t *testing.T) string {
	t.Helper()
	if b := os.Getenv("LICTOR_TEST_BINARY"); b != "" {
		return b
	}
	b := filepath.Join(t.TempDir(), "lictor")
	build := exec.Command("go", "build", "-o", b, "github.com/lictor-mesh/lictor/cmd/lictor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return b
}

func TestScenarioOnRealProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	layout, err := demo.FreeLayout()
	if err != nil {
		t.Fatal(err)
	}
	o := demo.Options{Binary: binary(t), Dir: t.TempDir(), Layout: layout}
	if err := demo.Check(t.Context(), o, t.Logf); err != nil {
		t.Fatal(err)
	}
}
