package cores

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ticks is how many units of the times in /proc/stat are a second, on all of Linux's systems
	// (USER_HZ).
	ticks = 100
	// nicedShare is what programs of low priority count for: where they compete with this one they
	// get little of a core.
	nicedShare = 0.1
)

// watchCores tells how long others kept the cores busy that this process may use. It is false on
// systems that do not tell.
func watchCores() (busy, bool) {
	allowed, ok := allowedCores()
	if !ok {
		return busy{}, false
	}
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return busy{}, false
	}
	var own unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &own) != nil {
		return busy{}, false
	}
	priority, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	// The system call counts from 20 for nice 19 to 1 up to 40 for -20.
	low := err == nil && priority < 20
	all, niced, cores := coreTimes(data, allowed)
	if cores == 0 {
		return busy{}, false
	}
	share := nicedShare
	if low { // as those are that compete with it on equal terms
		share = 1
	}
	mine := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	return busy{time.Now(), cores, all + time.Duration(share*float64(niced)) - mine}, true
}

// coreTimes reads from /proc/stat for how long cores were busy, with programs of low priority
// apart, and how many there are.
func coreTimes(stat []byte, allowed func(cpu int) bool) (all, niced time.Duration, cores int) {
	for line := range bytes.Lines(stat) {
		fields := strings.Fields(string(line))
		if len(fields) < 9 || !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		cpu, err := strconv.Atoi(fields[0][len("cpu"):])
		if err != nil || !allowed(cpu) { // "cpu" alone is the sum
			continue
		}
		cores++
		// user, nice, system, idle, waiting for I/O, interrupts, soft interrupts, stolen by other
		// virtual machines
		for i, field := range fields[1:9] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil || n < 0 || n > 1<<40 {
				continue
			}
			switch d := time.Duration(n) * (time.Second / ticks); i {
			case 1:
				niced += d
			case 3, 4:
			default:
				all += d
			}
		}
	}
	return all, niced, cores
}
