//go:build !linux

package storetest

import (
	"os"
	"testing"
)

// Unprivileged calls f, and skips the test where root runs it.
func Unprivileged(t testing.TB, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("nothing is unreadable to root")
	}
	f()
}
