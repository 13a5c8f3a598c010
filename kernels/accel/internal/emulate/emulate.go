// Package emulate executes instructions of AVX-VNNI one by one on processors without them, so that
// tests run kernels that are made of them, at a millionth of the speed.
package emulate

// #include "emulate.h"
import "C"

import "unsafe"

// Start makes this process execute the instructions; what it returns ends that. It is false where
// neither this processor nor this system lets it.
func Start() (stop func(), ok bool) {
	if !C.eyelet_emulate_start() {
		return func() {}, false
	}
	return func() { C.eyelet_emulate_stop() }, true
}

// Count returns how many instructions were emulated; none where the processor has them.
func Count() uint64 { return uint64(C.eyelet_emulate_count()) }

// add adds to sums the products of 32 bytes, w without sign and x with, or, where pairs, of 16
// numbers of 16 bits, by an instruction of AVX-VNNI.
func add(pairs bool, sum *[8]int32, w, x *[32]byte) {
	C.eyelet_emulate_add(C.bool(pairs), (*C.int32_t)(&sum[0]), unsafe.Pointer(w),
		unsafe.Pointer(x))
}

// addWide is add by the instruction of AVX-512 VNNI, false where the processor lacks it.
func addWide(pairs bool, sum *[8]int32, w, x *[32]byte) bool {
	return bool(C.eyelet_emulate_add_wide(C.bool(pairs), (*C.int32_t)(&sum[0]), unsafe.Pointer(w),
		unsafe.Pointer(x)))
}
