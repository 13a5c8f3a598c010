//go:build !linux

package draw

import (
	"syscall"
	"time"
)

// childAttributes puts the child into a process group of its own, which a Ctrl-C at the terminal
// does not reach and which is killed as a whole.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// groupTime would be how much time of processors the processes of a group have used.
func groupTime(int) (used time.Duration, ok bool) { return 0, false }
