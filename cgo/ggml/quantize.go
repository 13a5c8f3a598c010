package ggml

// #include "bridge.h"
//
// static void eyelet_to_float(enum ggml_type type, const void *src, float *dst, int64_t n) {
//   ggml_get_type_traits(type)->to_float(src, dst, n);
// }
// static bool eyelet_has_to_float(enum ggml_type type) {
//   return ggml_get_type_traits(type)->to_float != NULL;
// }
import "C"

import (
	"fmt"
	"unsafe"
)

// MaxValue bounds what Quantize takes; see its comment.
const MaxValue = 1e5

const maxWeight = 1e15

// CanDequantize tells whether [Dequantize] takes the type.
func (t Type) CanDequantize() bool {
	return t == F32 || t.Known() && bool(C.eyelet_has_to_float(C.enum_ggml_type(t)))
}

// CanQuantize tells whether [Quantize] takes the type.
func (t Type) CanQuantize() bool {
	switch t {
	case F32, F16, BF16,
		Q1_0, Q2_0, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0,
		Q2_K, Q3_K, Q4_K, Q5_K, Q6_K,
		IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS,
		TQ1_0, TQ2_0, MXFP4, NVFP4:
		return true
	}
	return false
}

// RequiresImatrix tells whether [Quantize] to this type needs an importance matrix.
func (t Type) RequiresImatrix() bool {
	return t.CanQuantize() && bool(C.ggml_quantize_requires_imatrix(C.enum_ggml_type(t)))
}

// Dequantize converts the rows in src, of type t, to the len(dst) float32 values they stand for.
// Rows are stored without gaps, so any number of them can be converted at once. src must have
// exactly the size of len(dst) values.
//
// The bytes need not come from [Quantize]: any content gives values, which may be infinite or NaN.
func Dequantize(t Type, src []byte, dst []float32) error {
	size, err := t.RowSize(len(dst))
	if err != nil {
		return err
	}
	if !t.CanDequantize() {
		return fmt.Errorf("ggml: libggml %s cannot convert %v to float32", Version(), t)
	}
	if len(src) != size {
		return fmt.Errorf("ggml: %d values of %v are %d bytes, not %d", len(dst), t, size, len(src))
	}
	if len(dst) == 0 {
		return nil
	}
	if t == F32 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), size), src)
		return nil
	}
	C.eyelet_to_float(C.enum_ggml_type(t), unsafe.Pointer(&src[0]), (*C.float)(&dst[0]),
		C.int64_t(len(dst)))
	return nil
}

// Quantize converts the rows in src, each of rowLen values, to type t and writes them to dst, which
// must have exactly the size of len(src) values of that type. rowLen must be a multiple of the
// block size.
//
// imatrix, if not nil, has rowLen weights: the importance of each column, the same for all rows
// (llama.cpp's importance matrix). Some types need one, see [Type.RequiresImatrix]. Types that make
// no use of it ignore it.
//
// For quantized types, values must be at most 1e5 in magnitude: most formats have a float16 scale,
// which holds no more. Weights must be between 0 and 1e15. Beyond, sums overflow in the searches
// for some types, which then end the process; within these bounds no such case was found. The first
// call for an IQ type makes a table of up to a few MB, which takes seconds for IQ1_S, IQ1_M and
// IQ2_S.
//
// Quantize may be called from several goroutines.
func Quantize(t Type, src []float32, rowLen int, imatrix []float32, dst []byte) error {
	if err := checkQuantize(t, src, rowLen, imatrix, dst); err != nil {
		return err
	}
	if len(src) == 0 {
		return nil
	}
	var weights *C.float
	if imatrix != nil {
		weights = (*C.float)(&imatrix[0])
	}
	n := C.ggml_quantize_chunk(C.enum_ggml_type(t), (*C.float)(&src[0]), unsafe.Pointer(&dst[0]), 0,
		C.int64_t(len(src)/rowLen), C.int64_t(rowLen), weights)
	if int(n) != len(dst) {
		return fmt.Errorf("ggml: quantizing to %v wrote %d bytes, not %d", t, int(n), len(dst))
	}
	return nil
}

// checkQuantize checks all that ggml_quantize_chunk asserts.
func checkQuantize(t Type, src []float32, rowLen int, imatrix []float32, dst []byte) error {
	if !t.CanQuantize() || !t.Known() {
		return fmt.Errorf("ggml: libggml %s cannot quantize to %v", Version(), t)
	}
	if rowLen <= 0 || rowLen%t.BlockSize() != 0 {
		return fmt.Errorf("ggml: a row of %d values is not a whole number of %v blocks of %d",
			rowLen, t, t.BlockSize())
	}
	if len(src)%rowLen != 0 {
		return fmt.Errorf("ggml: %d values are not a whole number of rows of %d", len(src), rowLen)
	}
	size, err := t.RowSize(len(src))
	if err != nil {
		return err
	}
	if len(dst) != size {
		return fmt.Errorf("ggml: %d values of %v are %d bytes, not %d", len(src), t, size, len(dst))
	}
	if imatrix == nil && t.RequiresImatrix() {
		return fmt.Errorf("ggml: quantizing to %v needs an importance matrix", t)
	}
	if imatrix != nil && len(imatrix) != rowLen {
		return fmt.Errorf("ggml: the importance matrix has %d weights for rows of %d values",
			len(imatrix), rowLen)
	}
	for i, w := range imatrix {
		if !(w >= 0 && w <= maxWeight) {
			return fmt.Errorf("ggml: importance weight %d is %v, not between 0 and %g", i, w,
				float64(maxWeight))
		}
	}
	if t == F32 || t == F16 || t == BF16 {
		return nil
	}
	for i, x := range src {
		if !(x >= -MaxValue && x <= MaxValue) {
			return fmt.Errorf("ggml: value %d is %v, which %v cannot hold", i, x, t)
		}
	}
	return nil
}
