package imaging

/*
#cgo noescape eyelet_resample_rows_avx2
#cgo nocallback eyelet_resample_rows_avx2
#cgo noescape eyelet_resample_rows_avx512
#cgo nocallback eyelet_resample_rows_avx512
#cgo noescape eyelet_resample_columns_avx2
#cgo nocallback eyelet_resample_columns_avx2
#cgo noescape eyelet_resample_columns_avx512
#cgo nocallback eyelet_resample_columns_avx512
#include "resample.h"
*/
import "C"

import "github.com/eyelet-engine/eyelet/cgo/isa"

// allPasses are the passes that this processor can run at the level that package isa holds it to,
// the fastest first. The last takes any weights.
var allPasses = func() []*passes {
	var all []*passes
	if isa.Allows(isa.VNNI) {
		all = append(all, &avx512Passes)
	}
	if isa.Allows(isa.AVX2) {
		all = append(all, &avx2Passes)
	}
	return append(all, &goPasses)
}()

var avx2Passes = passes{
	name:      "avx2",
	maxWeight: 1<<31 - 1<<15 - 1, // the high half must not wrap when the low one is negative
	pack:      packHalves,
	rows: func(dst, src grid, n int, a *axis, x0, x1 int, bias []int32) {
		C.eyelet_resample_rows_avx2(bytesAt(dst.pix), C.size_t(dst.stride), bytesAt(src.pix),
			C.size_t(src.stride), C.size_t(n),
			wordsAt(a.first, x0), wordsAt(a.weights, x0*a.taps), C.size_t(a.taps/4),
			wordsAt(bias, 4*x0), C.size_t(x1-x0))
	},
	columns: func(dst, src grid, lo, n int, a *axis, y0, y1 int, beyond []uint8, bytes int) {
		C.eyelet_resample_columns_avx2(bytesAt(dst.pix), C.size_t(dst.stride), bytesAt(src.pix),
			C.size_t(src.stride),
			C.size_t(lo), C.size_t(n), wordsAt(a.first, y0), wordsAt(a.weights, y0*a.taps),
			C.size_t(a.taps/4),
			bytesAt(beyond), wordsAt(a.outside, y0), C.size_t(y1-y0), C.size_t(bytes))
	},
}

var avx512Passes = passes{
	name: "avx512",
	// the highest digit must fit 8 bits whatever the lower ones borrow
	maxWeight: 1<<23 - 1<<15 - 1<<7 - 1,
	pack:      packBytes,
	rows: func(dst, src grid, n int, a *axis, x0, x1 int, bias []int32) {
		C.eyelet_resample_rows_avx512(bytesAt(dst.pix), C.size_t(dst.stride), bytesAt(src.pix),
			C.size_t(src.stride), C.size_t(n),
			wordsAt(a.first, x0), wordsAt(a.weights, x0*a.taps), C.size_t(a.taps/4),
			wordsAt(bias, 4*x0), C.size_t(x1-x0))
	},
	columns: func(dst, src grid, lo, n int, a *axis, y0, y1 int, beyond []uint8, bytes int) {
		C.eyelet_resample_columns_avx512(bytesAt(dst.pix), C.size_t(dst.stride), bytesAt(src.pix),
			C.size_t(src.stride),
			C.size_t(lo), C.size_t(n), wordsAt(a.first, y0), wordsAt(a.weights, y0*a.taps),
			C.size_t(a.taps/4),
			bytesAt(beyond), wordsAt(a.outside, y0), C.size_t(y1-y0), C.size_t(bytes))
	},
}

func bytesAt(p []uint8) *C.uint8_t { return (*C.uint8_t)(&p[0]) }

func wordsAt(p []int32, i int) *C.int32_t { return (*C.int32_t)(&p[i]) }

// packHalves cuts each weight w into halves of 16 bits, w = 65536*high + low, both signed: the lows
// of taps 0 and 1, those of taps 2 and 3, then the highs.
func packHalves(b *[4]int32) {
	low := func(w int32) uint32 { return uint32(uint16(w)) }
	high := func(w int32) uint32 { return uint32(uint16((w - int32(int16(w))) >> 16)) }
	*b = [4]int32{
		int32(low(b[0]) | low(b[1])<<16), int32(low(b[2]) | low(b[3])<<16),
		int32(high(b[0]) | high(b[1])<<16), int32(high(b[2]) | high(b[3])<<16),
	}
}

// packBytes cuts each weight w into three digits of 8 bits, w = 65536*d[2] + 256*d[1] + d[0], all
// signed: the lowest of the four taps, the middle ones, the highest.
func packBytes(b *[4]int32) {
	var digits [3]uint32
	for i, w := range b {
		for j := range digits {
			d := int32(int8(w))
			digits[j] |= uint32(uint8(d)) << (8 * i)
			w = (w - d) >> 8
		}
	}
	*b = [4]int32{int32(digits[0]), int32(digits[1]), int32(digits[2]), 0}
}
