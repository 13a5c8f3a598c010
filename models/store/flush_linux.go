package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// startFlush asks the system to begin writing a stretch of a file to the disk, so that the sync at its end finds little left to do. It is a
// hint: errors change nothing.
func startFlush(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
