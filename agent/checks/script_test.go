//go:build unix

package checks

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func TestScriptExitDecidesAsRecorded(t *testing.T) {
	env := testEnv()
	env.Scripts = true
	for _, test := range []struct {
		args    []string
		timeout time.Duration
		status  model.Status
		output  string
	}{
		{[]string{"/bin/sh", "-c", "echo out; echo err >&2; exit 0"}, 0, model.StatusPassing, "out\nerr\n"},
		{[]string{"/bin/sh", "-c", "echo out; echo err >&2; exit 1"}, 0, model.StatusWarning, "out\nerr\n"},
		{[]string{"/bin/sh", "-c", "echo out; echo err >&2; exit 2"}, 0, model.StatusCritical, "out\nerr\n"},
		{[]string{"/no/such/binary"}, 0, model.StatusCritical, "fork/exec /no/such/binary: no such file or directory"},
		{[]string{"exit 1"}, 0, model.StatusCritical, `exec: "exit 1": executable file not found in $PATH`},
		{[]string{"/bin/sleep", "10"}, 100 * time.Millisecond, model.StatusCritical, "Timed out (100ms) running check"},
	} {
		wantResult(t, once(t, env, model.CheckDefinition{ScriptArgs: test.args, Timeout: test.timeout}), test.status, test.output)
	}
}

func TestTimeoutKillsAllThatAScriptStarted(t *testing.T) {
	env := testEnv()
	env.Scripts = true
	file := filepath.Join(t.TempDir(), "pid")
	r := once(t, env, model.CheckDefinition{Timeout: 300 * time.Millisecond,
		ScriptArgs: []string{"/bin/sh", "-c", "sleep 60 & echo $! > " + file + "; wait"}})
	wantResult(t, r, model.StatusCritical, "Timed out (300ms) running check")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for running(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
		time.Sleep(time.Millisecond)
	}
}

// running tells whether a process is there and not only waiting to be collected.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestScriptsRunOnlyWhereAllowed(t *testing.T) {
	d := model.CheckDefinition{ScriptArgs: []string{"/bin/true"}, Interval: time.Second}
	docker := d
	docker.DockerContainerID = "abc"
	for _, test := range []struct {
		scripts, local bool
		from           Source
		ok             bool
	}{
		{false, false, FromAPI, false}, {false, false, FromConfig, false},
		{false, true, FromAPI, false}, {false, true, FromConfig, true},
		{true, false, FromAPI, true}, {true, false, FromConfig, true},
	} {
		env := testEnv()
		env.Scripts, env.LocalScripts = test.scripts, test.local
		for _, def := range []model.CheckDefinition{d, docker} {
			_, err := New(Spec{Definition: def, Source: test.from}, env)
			if test.ok != (err == nil) || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%s %+v: %v", def.Type(), test, err)
			}
		}
	}
	_, err := New(Spec{Definition: d}, testEnv())
	if want := "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"; err.Error() != want {
		t.Errorf("got %q", err)
	}
}

func TestDockerRunsInTheContainer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var ran struct{ Cmd []string }
	mux := http.NewServeMux()
	mux.HandleFunc("POST /containers/abc/exec", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&ran)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"Id":"e1"}`)
	})
	mux.HandleFunc("POST /exec/e1/start", func(w http.ResponseWriter, _ *http.Request) {
		for i, text := range []string{"out", "err"} {
			header := []byte{byte(i + 1), 0, 0, 0, 0, 0, 0, 0}
			binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
			_, _ = w.Write(append(header, text...))
		}
	})
	mux.HandleFunc("GET /exec/e1/json", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ExitCode":1}`) })
	s := &http.Server{Handler: mux}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	env := testEnv()
	env.Scripts = true
	wantResult(t, once(t, env, model.CheckDefinition{DockerContainerID: "abc", ScriptArgs: []string{"/check", "-x"}}), model.StatusWarning, "outerr")
	if strings.Join(ran.Cmd, " ") != "/check -x" {
		t.Errorf("ran %q", ran.Cmd)
	}
	if r := once(t, env, model.CheckDefinition{DockerContainerID: "gone", ScriptArgs: []string{"x"}}); r.Status != model.StatusCritical {
		t.Errorf("a container that is not there: %s", r.Status)
	}
}
