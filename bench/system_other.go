//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

// errNotLinux is the answer of what is read from /proc.
var errNotLinux = errors.New("the figures come from /proc: run the benchmarks on Linux")

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(int) {}

func groupCPU(int) (time.Duration, error) { return 0, errNotLinux }

func groupMemory(int) (memory, error) { return memory{}, errNotLinux }

type machineCPU struct {
	all, own time.Duration
}

func readMachineCPU() machineCPU { return machineCPU{} }
