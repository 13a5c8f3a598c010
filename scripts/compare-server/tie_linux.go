package main

import (
	"os/exec"
	"syscall"
)

// tie lets the system kill a process when the thread that starts it ends: not even a crash of this
// program leaves it behind.
func tie(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
