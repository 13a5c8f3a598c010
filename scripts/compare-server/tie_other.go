//go:build !linux

package main

import "os/exec"

// tie does nothing where the system has no such tie: only a crash leaves the server behind.
func tie(*exec.Cmd) {}
