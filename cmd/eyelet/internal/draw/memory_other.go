//go:build !linux

package draw

import "runtime/debug"

// giveBack gives memory back that this process does not need while its child computes.
func giveBack() (stop func()) {
	debug.FreeOSMemory()
	return func() {}
}
