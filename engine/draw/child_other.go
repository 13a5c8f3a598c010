//go:build !linux

package draw

import "syscall"

// childAttributes puts the child into a process group of its own, which a Ctrl-C at the terminal
// does not reach and which is killed as a whole.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
