package storetest

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Unprivileged calls f, and returns when it has returned, on a thread that has to obey the
// permissions of files though root runs it; so have the programs that f starts. f runs on a
// goroutine of its own: FailNow would not end the test.
func Unprivileged(t testing.TB, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)      // also when f fails the test
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err = dropOverrides(); err == nil {
			f()
		}
	}()
	if <-done; err != nil {
		t.Fatal("giving up root's right to read any file: ", err)
	}
}

// dropOverrides takes the capabilities that pass over the permissions of files from the calling
// thread, and from programs that it starts.
func dropOverrides() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	for _, c := range []int{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		// without it, there is nothing to hand to programs either
		if sets[0].Permitted&(1<<c) != 0 {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
				return err
			}
		}
		sets[0].Effective &^= 1 << c
		sets[0].Permitted &^= 1 << c
		sets[0].Inheritable &^= 1 << c
	}
	return unix.Capset(&header, &sets[0])
}
