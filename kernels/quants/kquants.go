// Package quants quantizes rows of floats to the k-quants of llama.cpp, to the very bytes of ggml's
// own routines, several sub-blocks at a time. Debian's libggml has them as plain loops for any
// x86-64 processor, and they are what quantizing a model waits for.
package quants

// #cgo CFLAGS: -O3
// #include "kquants.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// blockValues is the number of values of a super-block.
const blockValues = C.KQUANTS_BLOCK

// sizes are those of a super-block in bytes.
var sizes = map[ggml.Type]int{ggml.Q4_K: C.KQUANTS_Q4_K, ggml.Q5_K: C.KQUANTS_Q5_K,
	ggml.Q6_K: C.KQUANTS_Q6_K}

// Supported reports whether [Convert] takes values of one type to another on this processor.
func Supported(from, to ggml.Type) bool {
	_, known := sizes[to]
	return known && (from == ggml.F32 || from == ggml.F16 || from == ggml.BF16) &&
		C.kquants_supported() != 0
}

// Convert quantizes the values in src, of a type that is [Supported], into dst. scratch has room
// for them as floats. They must be whole super-blocks of 256, in any number of rows. It reports
// whether none exceeds [ggml.MaxValue] and all are numbers; dst is not written otherwise.
func Convert(from ggml.Type, src []byte, to ggml.Type, dst []byte,
	scratch []float32) (within bool) {
	size := 2
	if from == ggml.F32 {
		size = 4
	}
	n := len(src) / size
	if !Supported(from, to) || len(src)%size != 0 || n%blockValues != 0 ||
		len(dst) != n/blockValues*sizes[to] || len(scratch) < n {
		panic(fmt.Sprintf("quants: %d bytes of %v to %d bytes of %v, with room for %d floats",
			len(src), from, len(dst), to, len(scratch)))
	}
	if n == 0 {
		return true
	}
	x, y := (*C.float)(&scratch[0]), (*C.uint8_t)(&dst[0])
	halves := (*C.uint16_t)(unsafe.Pointer(&src[0]))
	switch from {
	case ggml.F32:
		copy(unsafe.Slice((*byte)(unsafe.Pointer(x)), len(src)), src)
	case ggml.F16:
		C.kquants_from_f16(halves, x, C.size_t(n))
	default:
		C.kquants_from_bf16(halves, x, C.size_t(n))
	}
	if C.kquants_within(x, C.size_t(n), ggml.MaxValue) == 0 {
		return false
	}
	blocks := C.size_t(n / blockValues)
	switch to {
	case ggml.Q4_K:
		C.kquants_q4_K(x, y, blocks)
	case ggml.Q5_K:
		C.kquants_q5_K(x, y, blocks)
	default:
		C.kquants_q6_K(x, y, blocks)
	}
	return true
}
