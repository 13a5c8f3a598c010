package onednn

// #include <stdlib.h>
// #include <string.h>
import "C"

import (
	"fmt"
	"unsafe"
)

// Buffer is memory outside of Go's heap, zeroed, aligned to a page. Close frees it. A nil Buffer is
// empty.
type Buffer struct {
	p unsafe.Pointer
	n int
}

const page = 4096

// maxBuffer bounds a buffer, far above what any tower needs.
const maxBuffer = 1 << 40

// Alloc returns a buffer of n bytes. C has no way of its own to run out of memory gracefully on
// systems that overcommit; a size that the system refuses is an error.
func Alloc(n int) (*Buffer, error) {
	if n < 0 || n > maxBuffer {
		return nil, fmt.Errorf("onednn: a buffer of %d bytes", n)
	}
	size := (max(n, 1) + page - 1) / page * page
	p := C.aligned_alloc(page, C.size_t(size))
	if p == nil {
		return nil, fmt.Errorf("onednn: out of memory: a buffer of %d bytes", n)
	}
	C.memset(p, 0, C.size_t(size))
	return &Buffer{p, n}, nil
}

// Len returns the size in bytes.
func (b *Buffer) Len() int {
	if b == nil {
		return 0
	}
	return b.n
}

// Pointer returns the address of the first byte, nil for an empty or closed buffer.
func (b *Buffer) Pointer() unsafe.Pointer {
	if b == nil {
		return nil
	}
	return b.p
}

// Bytes returns the memory as a slice, valid until Close.
func (b *Buffer) Bytes() []byte { return unsafe.Slice((*byte)(b.Pointer()), b.Len()) }

// Float32 returns the memory as float32 numbers, valid until Close.
func (b *Buffer) Float32() []float32 { return unsafe.Slice((*float32)(b.Pointer()), b.Len()/4) }

// Close frees the memory. Closing again does nothing.
func (b *Buffer) Close() {
	if b != nil && b.p != nil {
		C.free(b.p)
		b.p, b.n = nil, 0
	}
}
