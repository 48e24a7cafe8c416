package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// profiled writes CPU profiles of a pair while it is under load, where -profile asks for them and the pair has any.
// Figures of such a run are a little lower.
func (r *rig) profiled(ctx context.Context, p *pair, what string, connections int) error {
	if r.profile == "" {
		return nil
	}
	results := make(chan error, len(p.profiles))
	for side, addr := range p.profiles {
		file := filepath.Join(r.profile, fmt.Sprintf("%s-%d-%s.pprof", what, connections, side))
		go func() { results <- writeProfile(ctx, addr, max(1, int(r.span.Seconds())), file) }()
	}
	for range p.profiles {
		if err := <-results; err != nil {
			return err
		}
	}
	return nil
}

func writeProfile(ctx context.Context, addr string, seconds int, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, seconds), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, answer.Body)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
