// Package cores knows which cores this process may use, and how many threads are best to compute on
// them while other programs want them too.
package cores

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Physical counts the cores that this process may run on, hyper-threads once: two threads of
// one core share its vector units and only get in each other's way. A CPU quota of the container,
// which GOMAXPROCS follows, is the upper bound.
func Physical() int {
	limit := max(runtime.GOMAXPROCS(0), 1)
	allowed, ok := allowedCores()
	if !ok {
		return limit
	}
	cores := map[string]bool{}
	for cpu := range 1024 {
		if !allowed(cpu) {
			continue
		}
		siblings, err := os.ReadFile(
			fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil {
			return limit
		}
		cores[strings.TrimSpace(string(siblings))] = true
	}
	return max(min(len(cores), limit), 1)
}
