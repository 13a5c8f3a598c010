package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// startFlush asks the system to begin writing a stretch of a file to the disk, so that the sync at
// its end finds little left to do. It is a hint: errors change nothing.
func startFlush(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}

// freeSpace returns the bytes that this user can write to the file system of a folder.
func freeSpace(dir string) (n int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(min(s.Bavail, 1<<62/uint64(s.Bsize))) * s.Bsize, true
}
