package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// describeMachine returns the lines that say where and on what the figures were taken.
func describeMachine(ctx context.Context, r *rig) [][2]string {
	lines := [][2]string{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
		{"CPU", fmt.Sprintf("%s, %d cores, shared with the load generator", cpuModel(), runtime.NumCPU())},
		{"kernel", runtime.GOOS + " " + firstLine(readFile("/proc/sys/kernel/osrelease"))},
		{"Go", runtime.Version()},
		{"lictor", programVersion(ctx, r.binary, "version")},
	}
	for _, peer := range []struct{ name, flag string }{{"haproxy", "-v"}, {"nginx", "-v"}, {"unbound", "-V"}} {
		if path, err := findProgram(peer.name); err == nil {
			lines = append(lines, [2]string{peer.name, programVersion(ctx, path, peer.flag)})
		}
	}
	if r.consul != "" {
		lines = append(lines, [2]string{"consul", programVersion(ctx, r.consul, "version")})
	}
	return lines
}

// findProgram looks for a peer also where the paths of users often do not lead.
func findProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

func programVersion(ctx context.Context, path string, arg string) string {
	out, err := exec.CommandContext(ctx, path, arg).CombinedOutput()
	if err != nil {
		return "version unknown: " + err.Error()
	}
	// Lictor's first line says which Consul it answers as.
	if _, own, ok := strings.Cut(string(out), "\nLictor "); ok {
		version, rest, _ := strings.Cut(own, "\n")
		if revision, ok := strings.CutPrefix(firstLine(rest), "Revision "); ok {
			version += ", revision " + revision
		}
		return version
	}
	_, version, found := strings.Cut(strings.ToLower(firstLine(string(out))), "version")
	if !found {
		return firstLine(string(out))
	}
	return strings.Trim(version, " :")
}

func cpuModel() string {
	for line := range strings.Lines(readFile("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func readFile(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return string(text)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

// othersShare tells how much of the cores others used since a reading, "" where that is not known. It is asked when
// all children have ended, since they count only then.
func othersShare(since machineCPU, took time.Duration) string {
	now := readMachineCPU()
	if now.all == since.all || took <= 0 {
		return ""
	}
	others := (now.all - since.all) - (now.own - since.own)
	share := float64(others) / float64(took) / float64(runtime.NumCPU()) * 100
	return fmt.Sprintf("%.0f%% of the cores' time went to other programs during the run", max(0, share))
}
