package accel

// #include <ggml-backend.h>
// #include <stdlib.h>
// #include <string.h>
// #include "qgemm.h"
//
// static bool run_qgemm(int type, int64_t m, int64_t n, int64_t k, const void *w, size_t w_stride,
//                       const float *x, size_t x_stride, float *y, size_t y_stride, int threads) {
//   const struct eyelet_qgemm g = {type, m, n, k, w, w_stride, x, x_stride, y, y_stride, false};
//   return eyelet_qgemm_run(&g, threads);
// }
//
// static bool compute(ggml_backend_t cpu, struct ggml_context *c, struct ggml_tensor *op,
//                     int threads) {
//   ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(cpu));
//   ggml_backend_set_n_threads_t set =
//       (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(
//           reg, "ggml_backend_set_n_threads");
//   if (set)
//     set(cpu, threads);
//   struct ggml_cgraph *graph = ggml_new_graph_custom(c, 8, false);
//   ggml_build_forward_expand(graph, op);
//   return ggml_backend_graph_compute(cpu, graph) == GGML_STATUS_SUCCESS;
// }
//
// // Computes a product with ggml's CPU backend. Rows follow on each other, w_bytes of them in w.
// static bool run_peer(int type, int64_t m, int64_t n, int64_t k, const void *w, size_t w_bytes,
//                      const float *x, float *y, int threads) {
//   const size_t bytes = w_bytes + sizeof(float) * (m * k + m * n) + (1 << 20);
//   struct ggml_context *c = ggml_init((struct ggml_init_params){bytes, NULL, false});
//   if (!c)
//     return false;
//   struct ggml_tensor *a = ggml_new_tensor_2d(c, type, k, n),
//                      *b = ggml_new_tensor_2d(c, GGML_TYPE_F32, k, m);
//   struct ggml_tensor *op = ggml_mul_mat(c, a, b);
//   memcpy(a->data, w, w_bytes);
//   memcpy(b->data, x, sizeof(float) * m * k);
//   ggml_backend_t cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
//   const bool ok = cpu && compute(cpu, c, op, threads);
//   if (ok)
//     memcpy(y, op->data, sizeof(float) * m * n);
//   if (cpu)
//     ggml_backend_free(cpu);
//   ggml_free(c);
//   return ok;
// }
import "C"

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// integerProduct is y = x · wᵀ, with x rounded to integers: w has n rows of k weights of a
// quantized type, x m rows of k numbers, y m rows of n.
type integerProduct struct {
	typ     ggml.Type
	m, n, k int
	w       []byte
	wStride int // bytes from row to row
	x, y    []float32
	xStride int // numbers from row to row
	yStride int
}

// fits tells whether a matrix with so many rows of so many elements, at a stride, ends within what
// there is.
func fits(rows, row, stride, have int) bool {
	return rows >= 0 && rows <= maxSide && row >= 0 && row <= maxSide && stride >= row &&
		stride <= math.MaxInt32 &&
		(rows == 0 || (rows-1)*stride+row <= have)
}

func (p *integerProduct) check() error {
	row, err := p.typ.RowSize(p.k)
	if err != nil {
		return err
	}
	if !fits(p.n, row, p.wStride, len(p.w)) || !fits(p.m, p.k, p.xStride, len(p.x)) ||
		!fits(p.m, p.n, p.yStride, len(p.y)) {
		return fmt.Errorf("accel: a matrix of the product of %d rows, %d columns, %d deep is too short", p.m, p.n, p.k)
	}
	return nil
}

// run computes the product on a team of threads, and fails if a matrix is shorter than its rows are
// said to be.
func (p *integerProduct) run(threads int) error {
	if err := p.check(); err != nil {
		return err
	}
	if !C.run_qgemm(C.int(p.typ), C.int64_t(p.m), C.int64_t(p.n), C.int64_t(p.k),
		unsafe.Pointer(unsafe.SliceData(p.w)), C.size_t(p.wStride),
		(*C.float)(unsafe.SliceData(p.x)), C.size_t(p.xStride), (*C.float)(unsafe.SliceData(p.y)),
		C.size_t(p.yStride), C.int(threads)) {
		return errDeclined
	}
	return nil
}

// runPeer computes the product, of matrices without gaps, with ggml's CPU backend.
func (p *integerProduct) runPeer(threads int) error {
	if err := p.check(); err != nil {
		return err
	}
	if row, err := p.typ.RowSize(p.k); err != nil || p.wStride != row || p.xStride != p.k ||
		p.yStride != p.n || p.m < 1 || p.n < 1 {
		return fmt.Errorf("accel: a product with gaps: %v", err)
	}
	if !C.run_peer(C.int(p.typ), C.int64_t(p.m), C.int64_t(p.n), C.int64_t(p.k),
		unsafe.Pointer(unsafe.SliceData(p.w)), C.size_t(p.n*p.wStride),
		(*C.float)(unsafe.SliceData(p.x)), (*C.float)(unsafe.SliceData(p.y)), C.int(threads)) {
		return errDeclined
	}
	return nil
}

// integersSupport tells whether run takes such weights.
func integersSupport(typ ggml.Type, k, n int) bool {
	return bool(C.eyelet_qgemm_supports(C.int(typ), C.int64_t(k), C.int64_t(n)))
}

// useIntegers makes products use a set of instructions, "" for the best, and tells whether the
// processor has it.
func useIntegers(isa string) bool {
	if isa == "" {
		return bool(C.eyelet_qgemm_use(nil))
	}
	name := C.CString(isa)
	defer C.free(unsafe.Pointer(name))
	return bool(C.eyelet_qgemm_use(name))
}

// integersISA names the instructions in use.
func integersISA() string { return C.GoString(C.eyelet_qgemm_isa()) }

// freeIntegers frees what products keep from call to call.
func freeIntegers() { C.eyelet_qgemm_free() }
