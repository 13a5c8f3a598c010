package atomicfile

import (
	"os"
	"syscall"
	"testing"
)

func TestFoldersThatCannotBeSyncedAreTolerated(t *testing.T) {
	for errno, want := range map[syscall.Errno]bool{syscall.EINVAL: true, syscall.ENOTSUP: true,
		syscall.EIO: false, syscall.ENOSPC: false} {
		if got := cannotSync(&os.PathError{Op: "sync", Path: "blobs", Err: errno}); got != want {
			t.Errorf("%v: %v", errno, got)
		}
	}
	if cannotSync(nil) {
		t.Error("no error is one")
	}
}
