// Package accel tests the kernels of the accelerator, a backend library in C and C++ that libggml
// loads (scripts/accel builds it). The library knows nothing of Go, and nothing in Go calls it
// other than through ggml.
package accel

// #cgo CFLAGS: -O3 -fopenmp
// #cgo CXXFLAGS: -O3 -fopenmp
// #cgo LDFLAGS: -ldnnl -lggml -lggml-base -lgomp -lm
// #include <ggml.h>
// #include <stdlib.h>
// #include "fgemm.h"
//
// static bool run_fgemm(int type, int64_t m, int64_t n, int64_t k, const void *w, size_t w_stride,
//                       const float *x, size_t x_stride, float *y, size_t y_stride, int threads) {
//   struct eyelet_fgemm g = {type, m, n, k, w, w_stride, x, x_stride, y, y_stride, NULL, 1, 0};
//   if (!eyelet_fgemm_supports(type, k)) {
//     g.to_float = ggml_get_type_traits(type)->to_float;
//     g.block = ggml_blck_size(type), g.block_bytes = ggml_type_size(type);
//     if (!g.to_float)
//       return false;
//   }
//   return eyelet_fgemm_run(&g, threads);
// }
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// errDeclined says that a kernel does not compute what it was asked for, or found no memory for it.
var errDeclined = errors.New("accel: declined, or out of memory")

// floatProduct is y = x · wᵀ in float32: w has n rows of k weights of any type that ggml converts,
// x m rows of k numbers, y m rows of n.
type floatProduct struct {
	typ     ggml.Type
	m, n, k int
	w       []byte
	wStride int // bytes from row to row
	x, y    []float32
	xStride int // numbers from row to row
	yStride int
}

// maxSide keeps every size below within an int.
const maxSide = 1 << 24

// run computes the product on a team of threads, and fails if a matrix is shorter than its rows are
// said to be.
func (p *floatProduct) run(threads int) error {
	row, err := p.typ.RowSize(p.k)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name                    string
		rows, row, stride, have int
	}{
		{"w", p.n, row, p.wStride, len(p.w)},
		{"x", p.m, p.k, p.xStride, len(p.x)},
		{"y", p.m, p.n, p.yStride, len(p.y)},
	} {
		if m.rows < 0 || m.rows > maxSide || m.row < 0 || m.row > maxSide || m.stride < m.row ||
			m.stride > math.MaxInt32 {
			return fmt.Errorf("accel: %d rows of %d at a stride of %d in %s", m.rows, m.row,
				m.stride, m.name)
		}
		if m.rows > 0 && (m.rows-1)*m.stride+m.row > m.have {
			return fmt.Errorf("accel: %s has %d elements, %d rows at a stride of %d need more",
				m.name, m.have, m.rows, m.stride)
		}
	}
	if !C.run_fgemm(C.int(p.typ), C.int64_t(p.m), C.int64_t(p.n), C.int64_t(p.k),
		unsafe.Pointer(unsafe.SliceData(p.w)), C.size_t(p.wStride),
		(*C.float)(unsafe.SliceData(p.x)), C.size_t(p.xStride), (*C.float)(unsafe.SliceData(p.y)),
		C.size_t(p.yStride), C.int(threads)) {
		return errDeclined
	}
	return nil
}

// useFloats makes products and attention use a set of instructions, "" for the best, and tells
// whether the processor has it.
func useFloats(isa string) bool {
	if isa == "" {
		return bool(C.eyelet_fgemm_use(nil))
	}
	name := C.CString(isa)
	defer C.free(unsafe.Pointer(name))
	return bool(C.eyelet_fgemm_use(name))
}

// floatsISA names the instructions in use.
func floatsISA() string { return C.GoString(C.eyelet_fgemm_isa()) }

// freeFloats frees what products keep from call to call.
func freeFloats() { C.eyelet_fgemm_free() }
