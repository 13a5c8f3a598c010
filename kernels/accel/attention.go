package accel

// #include "attention.h"
// #include "attention_parts.h"
// #include "compute.h"
//
// typedef struct {
//   int64_t width, value_width, queries, keys, heads, key_heads, batch, mask_heads, mask_batch;
//   enum ggml_type key_type, value_type;
//   float scale, max_bias, softcap;
//   bool sinks, interleaved;
// } attention_shape;
//
// // rows makes a tensor of rows for each head. Interleaved, the heads of a row lie side by side,
// // as projections and caches have them.
// static struct ggml_tensor *rows(struct ggml_context *c, enum ggml_type t, int64_t width,
//                                 int64_t n, int64_t heads, int64_t batch, bool interleaved) {
//   return interleaved
//              ? ggml_permute(c, ggml_new_tensor_4d(c, t, width, heads, n, batch), 0, 2, 1, 3)
//              : ggml_new_tensor_4d(c, t, width, n, heads, batch);
// }
//
// static struct ggml_tensor *make_attention(struct ggml_context *c, const attention_shape *s) {
//   struct ggml_tensor *q = rows(c, GGML_TYPE_F32, s->width, s->queries, s->heads, s->batch, true);
//   struct ggml_tensor *k =
//       rows(c, s->key_type, s->width, s->keys, s->key_heads, s->batch, s->interleaved);
//   struct ggml_tensor *v =
//       rows(c, s->value_type, s->value_width, s->keys, s->key_heads, s->batch, s->interleaved);
//   struct ggml_tensor *mask = s->mask_heads
//                                  ? ggml_new_tensor_4d(c, GGML_TYPE_F16, s->keys, s->queries,
//                                                       s->mask_heads, s->mask_batch)
//                                  : NULL;
//   struct ggml_tensor *op =
//       ggml_flash_attn_ext(c, q, k, v, mask, s->scale, s->max_bias, s->softcap);
//   if (s->sinks)
//     ggml_flash_attn_ext_add_sinks(op, ggml_new_tensor_1d(c, GGML_TYPE_F32, s->heads));
//   return op;
// }
//
// static void power(bool plain, float *s, int64_t n, const float *largest, float *sum) {
// #ifdef FGEMM_X86
//   if (!plain) {
//     attention_avx2.power(s, n, 8, largest, sum);
//     return;
//   }
// #endif
//   attention_plain.power(s, n, 8, largest, sum);
// }
import "C"

import (
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// attentionShape is what ggml_flash_attn_ext is called with.
type attentionShape struct {
	width, valueWidth       int // of a row of a head
	queries, keys           int
	heads, keyHeads, batch  int
	keyType, valueType      ggml.Type
	maskHeads, maskBatch    int // 0 for no mask
	scale, maxBias, softcap float32
	sinks                   bool
	interleaved             bool // the heads of a key lie side by side, and not the keys of a head
}

// attention is an operation of ggml with its operands, in memory of its own.
type attention struct {
	shape   attentionShape
	context *C.struct_ggml_context
	op      *C.struct_ggml_tensor
	graph   *C.struct_ggml_cgraph
}

// newAttention lays out an operation whose operands are undefined.
func newAttention(s attentionShape) (*attention, error) {
	k, err := s.keyType.RowSize(s.width)
	if err != nil {
		return nil, err
	}
	v, err := s.valueType.RowSize(s.valueWidth)
	if err != nil {
		return nil, err
	}
	bytes := s.batch*(s.keys*s.keyHeads*(k+v)+4*s.queries*s.heads*(s.width+s.valueWidth)) +
		2*s.keys*s.queries*s.maskHeads*s.maskBatch + 4*s.heads
	a := &attention{shape: s,
		context: C.ggml_init(C.struct_ggml_init_params{mem_size: C.size_t(bytes + 1<<20)})}
	if a.context == nil {
		return nil, errDeclined
	}
	a.op = C.make_attention(a.context, &C.attention_shape{
		width: C.int64_t(s.width), value_width: C.int64_t(s.valueWidth),
		queries: C.int64_t(s.queries), keys: C.int64_t(s.keys),
		heads: C.int64_t(s.heads), key_heads: C.int64_t(s.keyHeads), batch: C.int64_t(s.batch),
		mask_heads: C.int64_t(s.maskHeads), mask_batch: C.int64_t(s.maskBatch),
		key_type: C.enum_ggml_type(s.keyType), value_type: C.enum_ggml_type(s.valueType),
		scale: C.float(s.scale), max_bias: C.float(s.maxBias), softcap: C.float(s.softcap),
		sinks: C.bool(s.sinks), interleaved: C.bool(s.interleaved),
	})
	a.graph = C.graph_of(a.context, a.op)
	return a, nil
}

// close frees the memory. Closing again does nothing.
func (a *attention) close() {
	C.ggml_free(a.context)
	a.context, a.op, a.graph = nil, nil, nil
}

func bytesOf(t *C.struct_ggml_tensor) []byte {
	if t == nil {
		return nil
	}
	return unsafe.Slice((*byte)(t.data), C.ggml_nbytes(t))
}

func numbersOf[T any](t *C.struct_ggml_tensor) []T {
	b := bytesOf(t)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))),
		len(b)/int(unsafe.Sizeof(*new(T))))
}

// The operands and the result, as they lie in memory: q is batch x queries x heads x width; k and v
// are batch x heads x keys x width, or batch x keys x heads x width if interleaved; mask is batch x
// heads x queries x keys; out is batch x queries x heads x width.
func (a *attention) q() []float32     { return numbersOf[float32](a.op.src[0]) }
func (a *attention) k() []byte        { return bytesOf(a.op.src[1]) }
func (a *attention) v() []byte        { return bytesOf(a.op.src[2]) }
func (a *attention) mask() []uint16   { return numbersOf[uint16](a.op.src[3]) }
func (a *attention) sinks() []float32 { return numbersOf[float32](a.op.src[4]) }
func (a *attention) out() []float32   { return numbersOf[float32](a.op) }

// run computes the operation with the kernel of this package.
func (a *attention) run(threads int) error {
	if !C.eyelet_attention_supports(a.op) || !C.eyelet_attention_run(a.op, C.int(threads), false) {
		return errDeclined
	}
	return nil
}

// runStarved computes it as when memory is short.
func (a *attention) runStarved(threads int) error {
	if !C.eyelet_attention_supports(a.op) {
		return errDeclined
	}
	C.eyelet_attention_run_plain(a.op, C.int(threads))
	return nil
}

// runGGML computes it with ggml's CPU backend, which must be loaded.
func (a *attention) runGGML(threads int) error {
	if !C.compute_by_ggml(a.graph, C.int(threads)) {
		return errDeclined
	}
	return nil
}

// freeAttention frees what the kernel keeps from call to call.
func freeAttention() { C.eyelet_attention_free() }

// powers replaces the numbers of 8 columns by 2^(number - largest of its column) and returns the
// sums of columns.
func powers(plain bool, s []float32, largest [8]float32) (sum [8]float32) {
	C.power(C.bool(plain), (*C.float)(unsafe.SliceData(s)), C.int64_t(len(s)/8),
		(*C.float)(&largest[0]), (*C.float)(&sum[0]))
	return sum
}
