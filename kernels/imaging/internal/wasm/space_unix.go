//go:build unix

package wasm

import "syscall"

// reserve returns n bytes of zeros, nil where there are not so many addresses.
func reserve(n uint64) []byte {
	bytes, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return bytes
}

// release gives them back.
func release(bytes []byte) { _ = syscall.Munmap(bytes) }
