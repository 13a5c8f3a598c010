package draw

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// childAttributes puts the child into a process group of its own, which a Ctrl-C at the terminal
// does not reach and which is killed as a whole, and has the system kill it when this process ends
// without having done so.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// groupTime is how much time of processors the processes of a group have used that are there now.
// ok is false where the system does not say.
func groupTime(group int) (used time.Duration, ok bool) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return 0, false
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + p.Name() + "/stat")
		if err != nil {
			continue // it ended meanwhile
		}
		// What precedes is the program's name in parentheses, which may hold any byte. The fields
		// behind it are counted from 3 in proc_pid_stat(5): the group is 5, and the time in the
		// program and in the system for it is 14 and 15, in hundredths of a second.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 13 || string(fields[2]) != strconv.Itoa(group) {
			continue
		}
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return 0, false
			}
			used, ok = used+time.Duration(n)*(time.Second/100), true
		}
	}
	return used, ok
}
