package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary stand in for the program, under both its names, in the scripts.
func TestMain(m *testing.M) {
	run := func() { os.Exit(Run(os.Args)) }
	testscript.Main(m, map[string]func(){"lictor": run, "consul": run, "standin": standin})
}

// standin is a program to run beside a proxy. It prints what happens to it: "started", then each signal; SIGTERM and
// SIGINT end it with the code in its first argument. With a second argument it ends at once.
func standin() {
	code, _ := strconv.Atoi(os.Args[1])
	signals := make(chan os.Signal, 4)
	signal.Notify(signals)
	fmt.Println("started")
	for len(os.Args) < 3 {
		sig := <-signals
		fmt.Println(sig)
		if ends(sig) {
			break
		}
	}
	os.Exit(code)
}

// TestScripts runs testdata/script. Beside testscript's own commands there are:
//
//	stub FILE        starts an agent that answers what FILE says (see stub_test.go), and points the program at it
//	requests FILE    compares what the stub was asked with FILE
//	asked N          waits until the stub was asked N times in all
//	gone DIR         waits until the directory is empty
//	code N CMD ARGS  runs a command that must exit with code N
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CLOSED", closedPort(t))
			env.Setenv("LICTOR_HTTP_ADDR", env.Getenv("CLOSED"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"stub": startStub, "requests": compareRequests, "asked": awaitRequests, "gone": awaitEmpty, "code": expectCode,
		},
	})
}

// closedPort returns a loopback address at which nothing listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func expectCode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N CMD ARGS")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func awaitEmpty(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		entries, err := os.ReadDir(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(entries) == 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s still has %v", args[0], entries)
		}
	}
}
