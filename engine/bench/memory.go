package bench

import (
	"bufio"
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryMethod says how memory is measured, for reports.
const memoryMethod = "highest resident memory of the process while encoding (VmHWM, reset through /proc/self/clear_refs), " +
	"less what was resident before the tower was loaded, less its weights"

// residentMemory returns the resident memory of this process and the highest since it was last
// forgotten, in bytes (proc_pid_status(5)). ok is false on systems that do not tell.
func residentMemory() (now, highest int64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(fields[1], 10, 52)
		switch fields[0] {
		case "VmRSS:":
			now = n << 10
		case "VmHWM:":
			highest = n << 10
		}
	}
	return now, highest, now > 0 && highest > 0
}

// settleMemory gives the system back what Go does not use.
func settleMemory() { debug.FreeOSMemory() }

// forgetPeak lets the highest resident memory begin anew with what is resident now. It reports
// whether the system can do that.
func forgetPeak() bool { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil }
