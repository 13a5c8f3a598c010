package accel

// #include <ggml.h>
// #include <ggml-backend.h>
// #include <stdlib.h>
// #include <string.h>
// #include "accel.h"
// #include "onednn.h"
//
// // A source of an operation: rows of a larger tensor, permuted.
// typedef struct {
//   int type;
//   int64_t whole[4], ne[4];
//   int permute[4];
//   const void *data;
// } operand;
//
// // The library that libggml would load, which this program holds as well.
// ggml_backend_reg_t ggml_backend_init(void);
//
// static ggml_backend_dev_t the_device(void) {
//   return ggml_backend_reg_dev_get(ggml_backend_init(), 0);
// }
//
// static void force(int rows, int path) {
//   eyelet_accel_set_force_t f = (eyelet_accel_set_force_t)ggml_backend_reg_get_proc_address(
//       ggml_backend_init(), "eyelet_accel_set_force");
//   f(rows, path);
// }
//
// static void read_counters(struct eyelet_accel_counters *c) {
//   eyelet_accel_counters_t f = (eyelet_accel_counters_t)ggml_backend_reg_get_proc_address(
//       ggml_backend_init(), "eyelet_accel_counters");
//   f(c, true);
// }
//
// static bool reads_repacked(int type) {
//   eyelet_accel_reads_repacked_t f =
//       (eyelet_accel_reads_repacked_t)ggml_backend_reg_get_proc_address(
//           ggml_backend_init(), "eyelet_accel_reads_repacked");
//   return f(type);
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
// // Weights as the CPU backend repacks them, in a context without memory of its own; NULL if it
// // does not.
// static struct ggml_tensor *repacked(struct ggml_context *ctx, const operand *o,
//                                     ggml_backend_buffer_t *buffer) {
//   struct ggml_tensor *t =
//       ggml_new_tensor_4d(ctx, o->type, o->ne[0], o->ne[1], o->ne[2], o->ne[3]);
//   *buffer = repacking() ? ggml_backend_alloc_ctx_tensors_from_buft(ctx, repacking()) : NULL;
//   if (!*buffer || !t->extra) return NULL;
//   ggml_backend_tensor_set(t, o->data, 0, ggml_nbytes(t));
//   return t;
// }
//
// enum { declined, computed, failed };
//
// static void set_cache(uint64_t bytes) {
//   ((eyelet_accel_set_cache_t)ggml_backend_reg_get_proc_address(ggml_backend_init(),
//                                                                "eyelet_accel_set_cache"))(bytes);
// }
//
// static void forget(void) {
//   ((eyelet_accel_forget_t)ggml_backend_reg_get_proc_address(ggml_backend_init(),
//                                                             "eyelet_accel_forget"))();
// }
//
// static uint64_t kept(void) {
//   struct eyelet_accel_counters c;
//   ((eyelet_accel_counters_t)ggml_backend_reg_get_proc_address(
//       ggml_backend_init(), "eyelet_accel_counters"))(&c, false);
//   return c.kept;
// }
//
// static int compute_into(ggml_backend_t backend, struct ggml_cgraph *graph,
//                         const struct ggml_tensor *c, float *y, size_t ny) {
//   if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS ||
//       (size_t)ggml_nelements(c) != ny)
//     return failed;
//   memcpy(y, c->data, ny * sizeof *y);
//   return computed;
// }
//
// // Computes w * x three times, with w in a buffer of weights: as it is; after its bytes have
// // become those of other, which no model does; and then after what is kept was forgotten.
// // kept_bytes is what was kept before the last.
// static int run_changing(const operand *w, const void *other, const operand *x, int threads,
//                         size_t room, float *y, size_t ny, uint64_t *kept_bytes) {
//   struct ggml_context *ctx =
//       ggml_init((struct ggml_init_params){room + ggml_graph_overhead(), NULL, false});
//   struct ggml_context *aside =
//       ggml_init((struct ggml_init_params){2 * ggml_tensor_overhead(), NULL, true});
//   ggml_backend_buffer_t buffer = NULL;
//   ggml_backend_t backend = ggml_backend_dev_init(the_device(), NULL);
//   int result = failed;
//   if (ctx && aside && backend) {
//     struct ggml_tensor *a =
//         ggml_new_tensor_4d(aside, w->type, w->ne[0], w->ne[1], w->ne[2], w->ne[3]);
//     buffer = ggml_backend_alloc_ctx_tensors_from_buft(aside, ggml_backend_cpu_buffer_type());
//     ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
//     ggml_backend_tensor_set(a, w->data, 0, ggml_nbytes(a));
//     struct ggml_tensor *c = ggml_mul_mat(ctx, a, source(ctx, x));
//     struct ggml_cgraph *graph = ggml_new_graph(ctx);
//     ggml_build_forward_expand(graph, c);
//     ggml_backend_set_n_threads_t set_threads =
//         (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(
//             ggml_backend_init(), "ggml_backend_set_n_threads");
//     set_threads(backend, threads);
//     result = ggml_backend_dev_supports_op(the_device(), c)
//                  ? compute_into(backend, graph, c, y, ny)
//                  : declined;
//     ggml_backend_tensor_set(a, other, 0, ggml_nbytes(a));
//     if (result == computed) result = compute_into(backend, graph, c, y + ny, ny);
//     *kept_bytes = kept();
//     forget();
//     *kept_bytes -= kept();
//     if (result == computed) result = compute_into(backend, graph, c, y + 2 * ny, ny);
//     forget();
//   }
//   if (backend) ggml_backend_free(backend);
//   if (buffer) ggml_backend_buffer_free(buffer);
//   if (aside) ggml_free(aside);
//   if (ctx) ggml_free(ctx);
//   return result;
// }
//
// // Computes w * x, or, with ids, that of each row's expert.
// static int run_in(struct ggml_context *ctx, struct ggml_tensor *a, const operand *x,
//                   const operand *ids, int threads, float *y, size_t ny) {
//   struct ggml_tensor *b = source(ctx, x);
//   struct ggml_tensor *c =
//       ids ? ggml_mul_mat_id(ctx, a, b, source(ctx, ids)) : ggml_mul_mat(ctx, a, b);
//   int result = declined;
//   if (ggml_backend_dev_supports_op(the_device(), c)) {
//     struct ggml_cgraph *graph = ggml_new_graph(ctx);
//     ggml_build_forward_expand(graph, c);
//     ggml_backend_t backend = ggml_backend_dev_init(the_device(), NULL);
//     ggml_backend_set_n_threads_t set_threads =
//         (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(
//             ggml_backend_init(), "ggml_backend_set_n_threads");
//     set_threads(backend, threads);
//     result = ggml_backend_graph_compute(backend, graph) == GGML_STATUS_SUCCESS &&
//                      (size_t)ggml_nelements(c) == ny
//                  ? computed
//                  : failed;
//     if (result == computed) memcpy(y, c->data, ny * sizeof *y);
//     ggml_backend_free(backend);
//   }
//   return result;
// }
//
// static int run_graph(const operand *w, bool repack, const operand *x, const operand *ids,
//                      int threads, size_t room, float *y, size_t ny) {
//   struct ggml_context *ctx =
//       ggml_init((struct ggml_init_params){room + ggml_graph_overhead(), NULL, false});
//   struct ggml_context *aside =
//       ggml_init((struct ggml_init_params){2 * ggml_tensor_overhead(), NULL, true});
//   ggml_backend_buffer_t buffer = NULL;
//   int result = failed;
//   if (ctx && aside) {
//     struct ggml_tensor *a = repack ? repacked(aside, w, &buffer) : source(ctx, w);
//     result = a ? run_in(ctx, a, x, ids, threads, y, ny) : declined;
//   }
//   if (buffer) ggml_backend_buffer_free(buffer);
//   if (aside) ggml_free(aside);
//   if (ctx) ggml_free(ctx);
//   return result;
// }
import "C"

import (
	"errors"
	"fmt"
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

// errDevice says that the accelerator took an operation and could not compute it.
var errDevice = errors.New("accel: the device failed")

// newOperand copies a source of an operation into C's memory, until free is called.
func newOperand(m *matrices) (o *C.operand, free func(), err error) {
	size, err := m.typ.RowSize(m.whole[0] * m.whole[1] * m.whole[2] * m.whole[3])
	if err != nil {
		return nil, nil, err
	}
	if size != len(m.data) || size > 1<<28 {
		return nil, nil, fmt.Errorf("accel: %d bytes for a tensor of %d", len(m.data), size)
	}
	o = (*C.operand)(C.calloc(1, C.sizeof_operand))
	data := C.CBytes(m.data)
	o._type, o.data = C.int(m.typ), data
	for d := range 4 {
		o.whole[d], o.ne[d], o.permute[d] = C.int64_t(m.whole[d]), C.int64_t(m.ne[d]),
			C.int(m.permute[d])
	}
	return o, func() { C.free(data); C.free(unsafe.Pointer(o)) }, nil
}

// runGraph computes a MUL_MAT, or with ids a MUL_MAT_ID, of a graph by the device that the library
// registers, if it takes the operation by the given path (else errDeclined). The result has n
// numbers.
func runGraph(p path, w, x, ids *matrices, threads, n int) ([]float32, error) {
	room := 1 << 16
	var c [3]*C.operand
	for i, m := range []*matrices{w, x, ids} {
		if m == nil {
			continue
		}
		o, free, err := newOperand(m)
		if err != nil {
			return nil, err
		}
		defer free()
		c[i] = o
		room += len(m.data) + 4096
	}
	y := make([]float32, n)
	C.force(1, C.int(p))
	defer C.force(0, 0)
	switch C.run_graph(c[0], C.bool(w.repacked), c[1], c[2], C.int(threads), C.size_t(room+4*n),
		(*C.float)(unsafe.SliceData(y)), C.size_t(n)) {
	case C.computed:
		return y, nil
	case C.declined:
		return nil, errDeclined
	}
	return nil, errDevice
}

// runChanging computes w * x three times by a path, with up to cache bytes of weights kept: with w;
// with other in its place, unknown to the device; and so once more after the device was told to
// forget. y are the three results, of n numbers each, and kept the bytes of weights that were kept.
func runChanging(p path, cache uint64, w, other, x *matrices, threads,
	n int) (y [3][]float32, kept uint64, err error) {
	if len(w.data) != len(other.data) || w.whole != w.ne {
		return y, 0, errors.New(
			"accel: other weights must be of the same shape, and none have gaps")
	}
	var c [2]*C.operand
	for i, m := range []*matrices{w, x} {
		o, free, err := newOperand(m)
		if err != nil {
			return y, 0, err
		}
		defer free()
		c[i] = o
	}
	C.force(1, C.int(p))
	defer C.force(0, 0)
	C.set_cache(C.uint64_t(cache))
	defer C.set_cache(0)
	changed := C.CBytes(other.data)
	defer C.free(changed)
	all := make([]float32, 3*n)
	var bytes C.uint64_t
	switch C.run_changing(c[0], changed, c[1], C.int(threads), C.size_t(len(x.data)+4*n+1<<16),
		(*C.float)(unsafe.SliceData(all)), C.size_t(n), &bytes) {
	case C.computed:
		return [3][]float32{all[:n], all[n : 2*n], all[2*n:]}, uint64(bytes), nil
	case C.declined:
		return y, 0, errDeclined
	}
	return y, 0, errDevice
}

// countedCalls returns how many operations the device has computed since it was last asked.
func countedCalls() int {
	var c C.struct_eyelet_accel_counters
	C.read_counters(&c)
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
