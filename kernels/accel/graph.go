package accel

// #include <string.h>
// #include "accel.h"
// #include "compute.h"
// #include "onednn.h"
//
// // The library that libggml would load, which this program holds as well.
// ggml_backend_reg_t ggml_backend_init(void);
//
// static ggml_backend_dev_t the_device(void) {
//   return ggml_backend_reg_dev_get(ggml_backend_init(), 0);
// }
//
// #define FUNCTION(name) \
//   ((name##_t)ggml_backend_reg_get_proc_address(ggml_backend_init(), #name))
//
// static void force(int rows, int path) { FUNCTION(eyelet_accel_set_force)(rows, path); }
// static bool set_choice(int type, int step, int path) {
//   return FUNCTION(eyelet_accel_set_choice)(type, step, false, path);
// }
// static void set_cache(uint64_t bytes) { FUNCTION(eyelet_accel_set_cache)(bytes); }
// static void forget(void) { FUNCTION(eyelet_accel_forget)(); }
// static bool reads_repacked(int type) { return FUNCTION(eyelet_accel_reads_repacked)(type); }
// static void read_counters(struct eyelet_accel_counters *c, bool reset) {
//   FUNCTION(eyelet_accel_counters)(c, reset);
// }
//
// // A backend keeps scratch memory and plans as long as it is there.
// static ggml_backend_t hold(void) { return ggml_backend_dev_init(the_device(), NULL); }
//
// // Whether the device takes an operation whose result is a view of one of its sources, or has
// // memory that begins so many bytes behind the begin of the source's. Nothing is computed.
// static bool takes_over(bool attention, int source, bool view, ptrdiff_t behind) {
//   struct ggml_context *ctx = ggml_init((struct ggml_init_params){1 << 20, NULL, false});
//   if (!ctx) return false;
//   struct ggml_tensor *a = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, 64, 64),
//                      *b = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, 64, 64);
//   struct ggml_tensor *c = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, 64, 64);
//   struct ggml_tensor *op =
//       attention ? ggml_flash_attn_ext(ctx, a, b, c, NULL, 1, 0, 0) : ggml_mul_mat(ctx, a, b);
//   if (view) op->view_src = op->src[source];
//   if (behind) op->data = (char *)op->src[source]->data + behind;
//   const bool takes = ggml_backend_dev_supports_op(the_device(), op);
//   ggml_free(ctx);
//   return takes;
// }
//
// // Whether the device takes a product of m rows of k numbers and n rows of weights.
// static bool takes_product(int type, int64_t m, int64_t n, int64_t k) {
//   const size_t room = ggml_row_size(type, k) * n + 4 * m * (n + k) + (1 << 16);
//   struct ggml_context *ctx = ggml_init((struct ggml_init_params){room, NULL, false});
//   if (!ctx) return false;
//   struct ggml_tensor *w = ggml_new_tensor_2d(ctx, type, k, n),
//                      *x = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, k, m);
//   const bool takes = ggml_backend_dev_supports_op(the_device(), ggml_mul_mat(ctx, w, x));
//   ggml_free(ctx);
//   return takes;
// }
//
// // A source of an operation: rows of a larger tensor, permuted.
// typedef struct {
//   int type;
//   int64_t whole[4], ne[4];
//   int permute[4];
//   const void *data;
// } operand;
//
// static struct ggml_tensor *source(struct ggml_context *ctx, const operand *o) {
//   struct ggml_tensor *t =
//       ggml_new_tensor_4d(ctx, o->type, o->whole[0], o->whole[1], o->whole[2], o->whole[3]);
//   memcpy(t->data, o->data, ggml_nbytes(t));
//   t = ggml_view_4d(ctx, t, o->ne[0], o->ne[1], o->ne[2], o->ne[3], t->nb[1], t->nb[2], t->nb[3],
//                    0);
//   return ggml_permute(ctx, t, o->permute[0], o->permute[1], o->permute[2], o->permute[3]);
// }
//
// // The CPU backend's buffers that it repacks weights in, NULL if it has none.
// static ggml_backend_buffer_type_t repacking(void) {
//   ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
//   ggml_backend_dev_get_extra_bufts_t get =
//       cpu ? (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(
//                 ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts")
//           : NULL;
//   for (ggml_backend_buffer_type_t *list = get ? get(cpu) : NULL; list && *list; list++)
//     if (!strcmp(ggml_backend_buft_name(*list), "CPU_REPACK")) return *list;
//   return NULL;
// }
//
// // Where the weights of an operation lie: among its other sources, in a buffer for weights, or in
// // one that repacks them.
// typedef enum { among, weights, repacked } place;
//
// // A MUL_MAT, or a MUL_MAT_ID, of the device.
// typedef struct {
//   struct ggml_context *context, *aside; // aside is without memory of its own
//   ggml_backend_buffer_t buffer;         // of the weights that lie aside
//   ggml_backend_t backend;
//   struct ggml_tensor *w, *y;
//   struct ggml_cgraph *graph;
// } operation;
//
// static void close_operation(operation *op) {
//   if (op->backend) ggml_backend_free(op->backend);
//   if (op->buffer) ggml_backend_buffer_free(op->buffer);
//   if (op->aside) ggml_free(op->aside);
//   if (op->context) ggml_free(op->context);
// }
//
// // Lays out w * x, or, with ids, the product of each row and its expert, with room for the
// // sources and the result. False if the device declines it, or the buffers the weights.
// static bool open_operation(operation *op, const operand *w, place at, const operand *x,
//                            const operand *ids, size_t room) {
//   op->context = ggml_init((struct ggml_init_params){room + (1 << 16), NULL, false});
//   op->aside = ggml_init((struct ggml_init_params){2 * ggml_tensor_overhead(), NULL, true});
//   op->backend = hold();
//   if (at == among) {
//     op->w = source(op->context, w);
//   } else {
//     op->w = ggml_new_tensor_4d(op->aside, w->type, w->ne[0], w->ne[1], w->ne[2], w->ne[3]);
//     ggml_backend_buffer_type_t type =
//         at == repacked ? repacking() : ggml_backend_cpu_buffer_type();
//     op->buffer = type ? ggml_backend_alloc_ctx_tensors_from_buft(op->aside, type) : NULL;
//     if (!op->buffer || (at == repacked && !op->w->extra)) return false;
//     ggml_backend_buffer_set_usage(op->buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
//     ggml_backend_tensor_set(op->w, w->data, 0, ggml_nbytes(op->w));
//   }
//   struct ggml_tensor *b = source(op->context, x);
//   op->y = ids ? ggml_mul_mat_id(op->context, op->w, b, source(op->context, ids))
//               : ggml_mul_mat(op->context, op->w, b);
//   op->graph = graph_of(op->context, op->y);
//   return ggml_backend_dev_supports_op(the_device(), op->y);
// }
//
// static bool run_operation(const operation *op, int threads, float *y, size_t n) {
//   if (!compute(op->backend, op->graph, threads) || (size_t)ggml_nelements(op->y) != n)
//     return false;
//   memcpy(y, op->y->data, n * sizeof *y);
//   return true;
// }
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// matrices are an operand of a product in a graph: up to four dimensions, the first of which is
// that of a row. The tensor is cut out of a larger one, so that rows have gaps, and its dimensions
// are permuted: dimension i becomes dimension permute[i].
type matrices struct {
	typ       ggml.Type
	whole, ne [4]int
	permute   [4]int
	data      []byte // of the whole
	// as weights: by ggml's CPU backend, which must be loaded; whole and ne are the same then, and
	// permute is plain
	repacked bool
}

// shape returns the dimensions after the permutation.
func (m *matrices) shape() (s [4]int) {
	for i, to := range m.permute {
		s[to] = m.ne[i]
	}
	return s
}

// toC returns the operand for C, with data that is pinned; nil for nil.
func (m *matrices) toC(pin *runtime.Pinner) *C.operand {
	if m == nil {
		return nil
	}
	size, err := m.typ.RowSize(m.whole[0] * m.whole[1] * m.whole[2] * m.whole[3])
	if err != nil || size != len(m.data) {
		panic(fmt.Sprintf("accel: %d bytes for a tensor of %d: %v", len(m.data), size, err))
	}
	pin.Pin(&m.data[0])
	o := &C.operand{_type: C.int(m.typ), data: unsafe.Pointer(&m.data[0])}
	for d := range 4 {
		o.whole[d], o.ne[d], o.permute[d] = C.int64_t(m.whole[d]), C.int64_t(m.ne[d]),
			C.int(m.permute[d])
	}
	return o
}

// path is a way of computing products, with the numbers of product.h.
type path int

const (
	anyPath path = iota
	integers
	floats
	onednnF32
	onednnBF16
	starved path = C.eyelet_accel_starved
)

// operation is a product that the device has taken. Its result has n numbers.
type operation struct {
	c          C.operation
	n, threads int
}

// open lays out w * x, or, with ids, the product of each row and its expert. The error is
// errDeclined. What open returns must be closed, after an error too.
func (o *operation) open(w, x, ids *matrices, at C.place) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	room := 4 * o.n
	for _, m := range []*matrices{w, x, ids} {
		if m != nil {
			room += len(m.data) + 4096
		}
	}
	if !C.open_operation(&o.c, w.toC(&pin), at, x.toC(&pin), ids.toC(&pin), C.size_t(room)) {
		return errDeclined
	}
	return nil
}

func (o *operation) close() { C.close_operation(&o.c) }

func (o *operation) run() ([]float32, error) {
	y := make([]float32, o.n)
	if !C.run_operation(&o.c, C.int(o.threads), (*C.float)(unsafe.SliceData(y)), C.size_t(o.n)) {
		return nil, errors.New("accel: the device failed")
	}
	return y, nil
}

// runGraph computes a MUL_MAT, or with ids a MUL_MAT_ID, of a graph by the device that the library
// registers, if it takes the operation by the given path (else errDeclined). The result has n
// numbers.
func runGraph(p path, w, x, ids *matrices, threads, n int) ([]float32, error) {
	C.force(1, C.int(p))
	defer C.force(0, 0)
	o := operation{n: n, threads: threads}
	defer o.close()
	at := C.place(C.among)
	if w.repacked {
		at = C.repacked
	}
	if err := o.open(w, x, ids, at); err != nil {
		return nil, err
	}
	return o.run()
}

// runChanging computes w * x three times by a path, with up to cache bytes of weights kept: with w;
// with other, of the same shape, in its place, unknown to the device; and so once more after the
// device was told to forget. y are the three results, of n numbers each, and kept the bytes of
// weights that were kept.
func runChanging(p path, cache uint64, w, other, x *matrices, threads,
	n int) (y [3][]float32, kept uint64, err error) {
	C.force(1, C.int(p))
	defer C.force(0, 0)
	C.set_cache(C.uint64_t(cache))
	defer C.set_cache(0)
	o := operation{n: n, threads: threads}
	defer o.close()
	if err := o.open(w, x, nil, C.weights); err != nil {
		return y, 0, err
	}
	for i := range y {
		switch i {
		case 1:
			C.ggml_backend_tensor_set(o.c.w, unsafe.Pointer(&other.data[0]), 0,
				C.size_t(len(other.data)))
		case 2:
			kept = keptBytes()
			C.forget()
			kept -= keptBytes()
		}
		if y[i], err = o.run(); err != nil {
			return y, 0, err
		}
	}
	return y, kept, nil
}

// keptBytes returns how much memory the device keeps from one operation to the next.
func keptBytes() uint64 {
	var c C.struct_eyelet_accel_counters
	C.read_counters(&c, false)
	return uint64(c.kept)
}

// countedCalls returns how many operations the device has computed since it was last asked.
func countedCalls() int {
	var c C.struct_eyelet_accel_counters
	C.read_counters(&c, true)
	return int(c.calls)
}

// reads tells whether the library reads weights of a type that ggml's CPU backend, which must be
// loaded, has repacked.
func reads(typ ggml.Type) bool { return bool(C.reads_repacked(C.int(typ))) }

// holdScratch keeps the device's memory and plans from one operation to the next until release is
// called, as a context of libllama does.
func holdScratch() (release func()) {
	backend := C.hold()
	return func() { C.ggml_backend_free(backend) }
}

// maxPlans is how many of oneDNN's plans are kept.
const maxPlans = C.eyelet_onednn_max_plans

// plansMade returns how many of oneDNN's plans were made in this process.
func plansMade() int { return int(C.eyelet_onednn_plans_made()) }

// sideBySide is the size of the result and of each source of takesOver, in bytes.
const sideBySide = 64 * 64 * 4

// takesOver tells whether the device takes an operation, attention or a product, whose result is a
// view of a source, or whose memory begins so many bytes behind the source's. With neither, the
// result has memory of its own.
func takesOver(attention bool, source int, view bool, behind int) bool {
	C.force(1, 0)
	defer C.force(0, 0)
	return bool(C.takes_over(C.bool(attention), C.int(source), C.bool(view), C.ptrdiff_t(behind)))
}

// takesSingle tells whether the device takes a product of one row of k numbers and n rows of
// weights where path was measured to be the fastest for a single row.
func takesSingle(typ ggml.Type, n, k int, p path) bool {
	C.set_choice(C.int(typ), 0, C.int(p))
	defer C.set_choice(C.int(typ), 0, 0)
	return bool(C.takes_product(C.int(typ), 1, C.int64_t(n), C.int64_t(k)))
}
