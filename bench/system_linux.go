package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownGroup gives a child a process group, whose number is the child's, and ends it with this process.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// group lists the processes of a group.
func group(pgid int) (pids []string, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; state, parent and group follow the last one.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 2 && fields[2] == strconv.Itoa(pgid) {
			pids = append(pids, e.Name())
		}
	}
	if pids == nil {
		return nil, errors.New("no such process")
	}
	return pids, nil
}

// groupCPU sums what the scheduler counted for all threads, in nanoseconds, where /proc/PID/stat has ticks of 10 ms.
// Threads that have ended are not in it; the contenders keep theirs.
func groupCPU(pgid int) (total time.Duration, err error) {
	pids, err := group(pgid)
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		tasks, err := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
		if err != nil {
			return 0, err
		}
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if err != nil {
				continue
			}
			ns, _, _ := strings.Cut(string(text), " ")
			n, err := strconv.ParseInt(ns, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", task, err)
			}
			total += time.Duration(n)
		}
	}
	return total, nil
}

func groupMemory(pgid int) (memory, error) {
	var sum memory
	pids, err := group(pgid)
	if err != nil {
		return sum, err
	}
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		if err != nil {
			return sum, err
		}
		for line := range strings.Lines(string(text)) {
			name, rest, _ := strings.Cut(line, ":")
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			switch name {
			case "Rss":
				sum.rss += kib << 10
			case "Anonymous":
				sum.anonymous += kib << 10
			}
		}
	}
	return sum, nil
}

// machineCPU is a reading of who used the machine's cores since it started.
type machineCPU struct {
	all, own time.Duration
}

// tick is the unit of /proc/stat on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// readMachineCPU reads how long the cores were busy, and how long for this process and the children it has waited for.
func readMachineCPU() (m machineCPU) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(line) {
		// user nice system idle iowait irq softirq steal; guests are in user and nice already
		if n, err := strconv.ParseInt(f, 10, 64); err == nil && i >= 1 && i <= 8 && i != 4 && i != 5 {
			m.all += time.Duration(n) * tick
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			m.own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return m
}
