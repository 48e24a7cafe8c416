package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/examples/app"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func run(t *testing.T, serve func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnswerShowsWhoCalledWhom(t *testing.T) {
	log := hclog.NewNullLogger()
	db, api, web := listen(t), listen(t), listen(t)
	run(t, func(ctx context.Context) error { return app.NewDB("db-1", log).Serve(ctx, db) })
	run(t, func(ctx context.Context) error { return app.API(ctx, api, db.Addr().String(), log) })
	run(t, func(ctx context.Context) error { return app.Web(ctx, web, api.Addr().String(), log) })
	for path, want := range map[string]int{"/": 200, "/?delay=10ms": 200, "/?delay=bad": 502, "/health": 200} {
		resp, err := http.Get("http://" + web.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %s", path, resp.Status)
		}
		if path == "/" {
			var a app.Answer
			if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || a.Path() != "web -> api -> db-1" {
				t.Errorf("path %q, %v", a.Path(), err)
			}
		}
		_ = resp.Body.Close()
	}
}

func TestAnswerIsReadAsItIs(t *testing.T) {
	log := hclog.NewNullLogger()
	gone, web := listen(t), listen(t)
	address := gone.Addr().String()
	_ = gone.Close()
	run(t, func(ctx context.Context) error { return app.Web(ctx, web, address, log) })
	for query, want := range map[string]string{"": `Get \"http://` + address + `/\": `, "?key=a<b>&x=1": `/?key=a<b>&x=1\": `} {
		resp, err := http.Get("http://" + web.Addr().String() + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s, want %s", body, want)
		}
	}
}

func TestDBAnswersLines(t *testing.T) {
	l := listen(t)
	run(t, func(ctx context.Context) error { return app.NewDB("db-9", hclog.NewNullLogger()).Serve(ctx, l) })
	c, err := app.DialDB(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, step := range []struct {
		words []string
		value string
		fails bool
	}{{[]string{"SET", "k", "a b"}, "", false}, {[]string{"GET", "k"}, "a b", false}, {[]string{"GET", "none"}, "", false}, {[]string{"DROP"}, "", true}} {
		instance, value, err := c.Do(step.words...)
		if instance != "db-9" || value != step.value || (err != nil) != step.fails {
			t.Errorf("%v: %q %q %v", step.words, instance, value, err)
		}
	}
}
