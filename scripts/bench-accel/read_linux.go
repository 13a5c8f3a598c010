package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// largePages returns memory in pages of 2 MiB, as weights lie in, where the system gives them.
func largePages(bytes int) (s []uint64, free func(), err error) {
	m, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.Madvise(m, unix.MADV_HUGEPAGE) // where it is refused, pages are small
	return unsafe.Slice((*uint64)(unsafe.Pointer(&m[0])), bytes/8),
		func() { _ = unix.Munmap(m) }, nil
}
