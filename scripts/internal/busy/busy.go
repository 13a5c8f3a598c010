// Package busy keeps cores of the machine busy, for benchmarks beside other programs.
package busy

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

// child is the variable that tells a process that it is one of Start's.
const child = "EYELET_BUSY_CHILD"

// Main does not return in a process that [Start] began: there it keeps a core busy until the
// process is killed. Programs that call Start call it first.
func Main() {
	if os.Getenv(child) == "" {
		return
	}
	for n := uint64(1); n != 0; n += 2 { // never 0
	}
}

// Start begins n processes of this program that want a core each, and returns when they have begun
// to. They end with stop.
func Start(n int) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("busy: %w", err)
	}
	var running []*exec.Cmd
	stop = func() {
		for _, c := range running {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		running = nil
	}
	for range n {
		c := exec.Command(self)
		c.Env = append(os.Environ(), "GOMAXPROCS=1", child+"=1")
		if err := c.Start(); err != nil {
			stop()
			return nil, fmt.Errorf("busy: %w", err)
		}
		running = append(running, c)
	}
	time.Sleep(200 * time.Millisecond)
	return stop, nil
}
