package main

import (
	"errors"
	"os"
	"syscall"
)

// residentPeak is the highest resident memory of a process that has ended, in MiB.
func residentPeak(p *os.ProcessState) (float64, error) {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, errors.New("the system does not say how much memory a process had")
	}
	return float64(usage.Maxrss) / 1024, nil
}
