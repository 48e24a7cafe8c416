// Package app holds the three small services of the demo mesh: web asks api, api asks db. None of them knows
// about the mesh: each dials its upstream on a loopback port, where its sidecar listens.
package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Answer is what a service says about a request: who answered, and what its own upstream said.
type Answer struct {
	Service  string  `json:"service"`
	Instance string  `json:"instance,omitempty"`
	Value    string  `json:"value,omitempty"`
	Upstream *Answer `json:"upstream,omitempty"`
	Error    string  `json:"error,omitempty"`
}

// Path writes who called whom: "web -> api -> db-1".
func (a *Answer) Path() string {
	name := a.Service
	if a.Instance != "" {
		name = a.Instance
	}
	if a.Upstream == nil {
		return name
	}
	return name + " -> " + a.Upstream.Path()
}

// requestTimeout bounds a request, its delay included.
const requestTimeout = 10 * time.Second

// Web serves the front of the demo: GET /?key=K asks api for K. delay=300ms in the query makes db take that
// long over it. It serves until ctx ends.
func Web(ctx context.Context, l net.Listener, apiAddr string, log hclog.Logger) error {
	client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	return serve(ctx, l, "web", log, func(r *http.Request) (*Answer, error) {
		target := url.URL{Scheme: "http", Host: apiAddr, Path: "/", RawQuery: r.URL.RawQuery}
		up, err := http.NewRequestWithContext(r.Context(), http.MethodGet, target.String(), nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(up)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		a := new(Answer)
		if err := json.NewDecoder(resp.Body).Decode(a); err != nil {
			return nil, fmt.Errorf("api's answer: %w", err)
		}
		if resp.StatusCode != http.StatusOK {
			return a, fmt.Errorf("api answered %s: %s", resp.Status, a.Error)
		}
		return a, nil
	})
}

// API serves the middle of the demo: GET /?key=K asks db for K over a connection of its own.
func API(ctx context.Context, l net.Listener, dbAddr string, log hclog.Logger) error {
	return serve(ctx, l, "api", log, func(r *http.Request) (*Answer, error) {
		c, err := DialDB(r.Context(), dbAddr)
		if err != nil {
			return nil, err
		}
		defer func() { _ = c.Close() }()
		key := r.URL.Query().Get("key")
		if key == "" {
			key = "greeting"
		}
		if d := r.URL.Query().Get("delay"); d != "" {
			if _, _, err := c.Do("WAIT", d); err != nil {
				return nil, err
			}
		}
		instance, value, err := c.Do("GET", key)
		if err != nil {
			return nil, err
		}
		return &Answer{Service: "db", Instance: instance, Value: value}, nil
	})
}

func serve(ctx context.Context, l net.Listener, name string, log hclog.Logger, upstream func(*http.Request) (*Answer, error)) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		a := &Answer{Service: name}
		up, err := upstream(r)
		a.Upstream = up
		status := http.StatusOK
		if err != nil {
			a.Error, status = err.Error(), http.StatusBadGateway
			log.Warn("request failed", "error", err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false) // it is read by people in a terminal
		_ = out.Encode(a)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: requestTimeout}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	log.Info("serving", "service", name, "address", l.Addr())
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		return srv.Shutdown(grace)
	}
}
