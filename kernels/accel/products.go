// Package accel tests the kernels of the accelerator, a backend library in C and C++ that libggml
// loads (scripts/accel builds it). The library knows nothing of Go, and nothing in Go calls it
// other than through ggml.
package accel

// #cgo CFLAGS: -O3 -fopenmp
// #cgo CXXFLAGS: -O3 -fopenmp
// #cgo LDFLAGS: -ldnnl -lggml -lggml-base -lgomp -lm
// #include <stdlib.h>
// #include <string.h>
// #include "compute.h"
// #include "fgemm.h"
// #include "qgemm.h"
//
// // Computes a product of matrices without gaps with ggml's CPU backend.
// static bool run_by_ggml(const struct eyelet_matrices *p, int threads) {
//   const size_t w_bytes = p->n * p->w_stride, x_bytes = sizeof(float) * p->m * p->k,
//                y_bytes = sizeof(float) * p->m * p->n;
//   struct ggml_context *c =
//       ggml_init((struct ggml_init_params){w_bytes + x_bytes + y_bytes + (1 << 20), NULL, false});
//   if (!c)
//     return false;
//   struct ggml_tensor *a = ggml_new_tensor_2d(c, p->type, p->k, p->n),
//                      *b = ggml_new_tensor_2d(c, GGML_TYPE_F32, p->k, p->m);
//   struct ggml_tensor *op = ggml_mul_mat(c, a, b);
//   memcpy(a->data, p->w, w_bytes);
//   memcpy(b->data, p->x, x_bytes);
//   const bool ok = compute_by_ggml(graph_of(c, op), threads);
//   if (ok)
//     memcpy(p->y, op->data, y_bytes);
//   ggml_free(c);
//   return ok;
// }
import "C"

import (
	"errors"
	"runtime"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// errDeclined says that a kernel does not compute what it was asked for, or found no memory for it.
var errDeclined = errors.New("accel: declined, or out of memory")

// product is y = x · wᵀ: w has n rows of k weights, x m rows of k numbers, y m rows of n.
type product struct {
	typ     ggml.Type
	m, n, k int
	w       []byte
	wStride int // bytes from row to row
	x, y    []float32
	xStride int // numbers from row to row
	yStride int
}

// by computes the product with a kernel on a team of threads.
func (p *product) by(kernel func(*C.struct_eyelet_matrices, C.int) C.bool, threads int) error {
	g := C.struct_eyelet_matrices{
		_type: C.enum_ggml_type(p.typ), m: C.int64_t(p.m), n: C.int64_t(p.n), k: C.int64_t(p.k),
		w: unsafe.Pointer(unsafe.SliceData(p.w)), w_stride: C.size_t(p.wStride),
		x: (*C.float)(unsafe.SliceData(p.x)), x_stride: C.size_t(p.xStride),
		y: (*C.float)(unsafe.SliceData(p.y)), y_stride: C.size_t(p.yStride),
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, matrix := range []unsafe.Pointer{g.w, unsafe.Pointer(g.x), unsafe.Pointer(g.y)} {
		if matrix != nil {
			pin.Pin(matrix)
		}
	}
	if !kernel(&g, C.int(threads)) {
		return errDeclined
	}
	return nil
}

// floatProduct is a product in float32 of weights of any type that ggml converts.
type floatProduct struct{ product }

func (p *floatProduct) run(threads int) error {
	return p.by(func(g *C.struct_eyelet_matrices, threads C.int) C.bool {
		return C.eyelet_fgemm_run(g, threads)
	}, threads)
}

// integerProduct is a product of weights of a quantized type and of x rounded to integers.
type integerProduct struct{ product }

func (p *integerProduct) run(threads int) error {
	return p.by(func(g *C.struct_eyelet_matrices, threads C.int) C.bool {
		return C.eyelet_qgemm_run(g, threads)
	}, threads)
}

// runGGML computes the product, of matrices without gaps, with ggml's CPU backend.
func (p *integerProduct) runGGML(threads int) error {
	return p.by(func(g *C.struct_eyelet_matrices, threads C.int) C.bool {
		return C.run_by_ggml(g, threads)
	}, threads)
}

// integersSupport tells whether integer products take such weights.
func integersSupport(typ ggml.Type, k, n int) bool {
	return bool(C.eyelet_qgemm_supports(C.int(typ), C.int64_t(k), C.int64_t(n)))
}

// cName returns a name of instructions in C's memory, nil for "", the best.
func cName(isa string) *C.char {
	if isa == "" {
		return nil
	}
	return C.CString(isa)
}

// useFloats makes products and attention in float32 use a set of instructions, "" for the best, and
// tells whether the processor has it.
func useFloats(isa string) bool {
	name := cName(isa)
	defer C.free(unsafe.Pointer(name))
	return bool(C.eyelet_fgemm_use(name))
}

// useIntegers does the same for integer products.
func useIntegers(isa string) bool {
	name := cName(isa)
	defer C.free(unsafe.Pointer(name))
	return bool(C.eyelet_qgemm_use(name))
}

// emulateIntegers does the same where the processor lacks the instructions: they are emulated then.
func emulateIntegers(isa string) bool {
	name := cName(isa)
	defer C.free(unsafe.Pointer(name))
	return bool(C.eyelet_qgemm_use_emulated(name))
}

// floatsISA and integersISA name the instructions in use.
func floatsISA() string   { return C.GoString(C.eyelet_fgemm_isa()) }
func integersISA() string { return C.GoString(C.eyelet_qgemm_isa()) }

// freeFloats and freeIntegers free what products keep from call to call.
func freeFloats()   { C.eyelet_fgemm_free() }
func freeIntegers() { C.eyelet_qgemm_free() }
