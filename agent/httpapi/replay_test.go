package httpapi_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/internal/vectors"
)

// TestAnswersEqualTheRecord replays what the compatible agent answered: status, headers, body, key order, and
// which write wakes which long poll. differences_test.go names each exception with its reason.
func TestAnswersEqualTheRecord(t *testing.T) {
	play := vectors.Player{Skip: skipped(), Differ: differing(), ShortWait: "150ms"}
	for _, file := range []string{"status", "errors", "catalog", "health", "agent-services", "agent-checks", "agent", "intentions", "connect-ca"} {
		list, err := vectors.Load("testdata/" + file + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if play.SkipsAll(s.Name) {
				continue
			}
			t.Run(s.Name, func(t *testing.T) {
				h := hostFor(t, s.Config)
				play.Base = map[string]string{"a": h.url}
				play.Bind = map[string]string{"<port:backend>": backend(t), "<port:closed>": "1", "<port:server>": "8300"}
				play.Settle = time.Second
				if s.Name == "checks-running" || s.Name == "checks-script" {
					play.Settle = 6 * time.Second
				}
				play.Play(t, s)
			})
		}
	}
	for _, k := range play.Unused() {
		t.Errorf("%s is on a list of differences, and there is no such step", k)
	}
}

// backend is the server of recorded checks: it answers the status that the path names.
func backend(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		if err != nil {
			status = http.StatusOK
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/200")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
