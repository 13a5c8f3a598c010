#include "handle.h"
#include "shim.h"

#include <cstdlib>
#include <initializer_list>
#include <new>
#include <omp.h>
#include <vector>

using eyelet::Attr, eyelet::Desc, eyelet::PostOps, eyelet::PrimitiveDesc;

namespace {

// guard turns whatever f throws into a status: an exception that unwinds into Go's stack is
// undefined behaviour.
template <class F>
dnnl_status_t guard(F f) noexcept {
  try {
    return f();
  } catch (const std::bad_alloc &) {
    return dnnl_out_of_memory;
  } catch (...) {
    return dnnl_runtime_error;
  }
}

// Threads sets the number of threads that oneDNN plans a primitive for, which is OpenMP's for the
// calling thread.
class Threads {
 public:
  explicit Threads(int n) : before_(omp_get_max_threads()) { omp_set_num_threads(n); }
  ~Threads() { omp_set_num_threads(before_); }

 private:
  int before_;
};

#define TRY(call)                                  \
  do {                                             \
    dnnl_status_t status_ = (call);                \
    if (status_ != dnnl_success) return status_;   \
  } while (0)

dnnl_status_t memory(dnnl_memory_t *out, const_dnnl_memory_desc_t desc, dnnl_engine_t engine) {
  return dnnl_memory_create(out, desc, engine, DNNL_MEMORY_NONE);
}

dnnl_status_t make_attr(Attr &attr, const eyelet_matmul_desc *d) {
  TRY(dnnl_primitive_attr_create(&attr.p));
  // The caller brings scratch memory: the library's own would be shared by threads that run the
  // same primitive.
  TRY(dnnl_primitive_attr_set_scratchpad_mode(attr.p, dnnl_scratchpad_mode_user));
  if (!d || (!d->sum && d->activation == dnnl_alg_kind_undef)) return dnnl_success;
  PostOps ops;
  TRY(dnnl_post_ops_create(&ops.p));
  if (d->sum) TRY(dnnl_post_ops_append_sum(ops.p, 1.0f, 0, dnnl_data_type_undef));
  if (d->activation != dnnl_alg_kind_undef)
    TRY(dnnl_post_ops_append_eltwise(ops.p, d->activation, d->alpha, 0));
  return dnnl_primitive_attr_set_post_ops(attr.p, ops.p);
}

// make_slots makes n slots, each with a stream.
dnnl_status_t make_slots(eyelet_dnnl_slot **slots, int *count, int n, dnnl_engine_t engine) {
  *slots = static_cast<eyelet_dnnl_slot *>(std::calloc(n, sizeof **slots));
  if (!*slots) return dnnl_out_of_memory;
  *count = n;
  for (int i = 0; i < n; i++)
    TRY(dnnl_stream_create(&(*slots)[i].stream, engine, dnnl_stream_default_flags));
  return dnnl_success;
}

void free_slots(eyelet_dnnl_slot *slot, int n) {
  for (int i = 0; slot && i < n; i++) {
    for (dnnl_memory_t m :
         {slot[i].src, slot[i].weights, slot[i].bias, slot[i].dst, slot[i].scratch})
      if (m) dnnl_memory_destroy(m);
    if (slot[i].stream) dnnl_stream_destroy(slot[i].stream);
  }
  std::free(slot);
}

dnnl_status_t matmul_make(eyelet_matmul *m, dnnl_engine_t engine, const eyelet_matmul_desc *d,
                          int slots, int threads) {
  Threads plan(threads);
  const dnnl_dims_t src_dims = {d->m, d->k}, weights_dims = {d->k, d->n}, dst_dims = {d->m, d->n},
                    bias_dims = {1, d->n};
  const dnnl_dims_t src_strides = {d->src_stride, 1}, dst_strides = {d->dst_stride, 1};
  Desc src, weights, dst, bias;
  TRY(dnnl_memory_desc_create_with_strides(&src.p, 2, src_dims, d->src, src_strides));
  TRY(dnnl_memory_desc_create_with_tag(&weights.p, 2, weights_dims, d->weights,
                                       dnnl_format_tag_any));
  TRY(dnnl_memory_desc_create_with_strides(&dst.p, 2, dst_dims, d->dst, dst_strides));
  TRY(dnnl_memory_desc_create_with_tag(&bias.p, 2, bias_dims, dnnl_f32, dnnl_ab));
  Attr attr;
  TRY(make_attr(attr, d));
  PrimitiveDesc pd;
  TRY(dnnl_matmul_primitive_desc_create(&pd.p, engine, src.p, weights.p,
                                        d->bias ? bias.p : nullptr, dst.p, attr.p));
  TRY(dnnl_primitive_create(&m->primitive, pd.p));
  TRY(dnnl_memory_desc_clone(&m->packed,
                             dnnl_primitive_desc_query_md(pd.p, dnnl_query_weights_md, 0)));
  const_dnnl_memory_desc_t scratch =
      dnnl_primitive_desc_query_md(pd.p, dnnl_query_scratchpad_md, 0);
  m->packed_bytes = dnnl_memory_desc_get_size(m->packed);
  m->scratch_bytes = dnnl_memory_desc_get_size(scratch);
  m->has_bias = d->bias;
  TRY(make_slots(&m->slot, &m->slots, slots, engine));
  for (int i = 0; i < slots; i++) {
    eyelet_dnnl_slot *s = &m->slot[i];
    TRY(memory(&s->src, src.p, engine));
    TRY(memory(&s->weights, m->packed, engine));
    TRY(memory(&s->dst, dst.p, engine));
    TRY(memory(&s->scratch, scratch, engine));
    if (d->bias) TRY(memory(&s->bias, bias.p, engine));
  }
  return dnnl_success;
}

dnnl_status_t reorder_make(eyelet_reorder *r, dnnl_engine_t engine, const_dnnl_memory_desc_t from,
                           const_dnnl_memory_desc_t to, int slots) {
  Threads plan(1);
  Attr attr;
  TRY(make_attr(attr, nullptr));
  PrimitiveDesc pd;
  TRY(dnnl_reorder_primitive_desc_create(&pd.p, from, engine, to, engine, attr.p));
  TRY(dnnl_primitive_create(&r->primitive, pd.p));
  const_dnnl_memory_desc_t scratch =
      dnnl_primitive_desc_query_md(pd.p, dnnl_query_scratchpad_md, 0);
  r->scratch_bytes = dnnl_memory_desc_get_size(scratch);
  TRY(make_slots(&r->slot, &r->slots, slots, engine));
  for (int i = 0; i < slots; i++) {
    eyelet_dnnl_slot *s = &r->slot[i];
    TRY(memory(&s->src, from, engine));
    TRY(memory(&s->dst, to, engine));
    TRY(memory(&s->scratch, scratch, engine));
  }
  return dnnl_success;
}

}  // namespace

extern "C" {

dnnl_status_t eyelet_dnnl_engine(dnnl_engine_t *engine) {
  return guard([&] { return dnnl_engine_create(engine, dnnl_cpu, 0); });
}

dnnl_status_t eyelet_matmul_make(eyelet_matmul *m, dnnl_engine_t engine,
                                 const eyelet_matmul_desc *d, int slots, int threads) {
  *m = {};
  dnnl_status_t status = guard([&] { return matmul_make(m, engine, d, slots, threads); });
  if (status != dnnl_success) eyelet_matmul_free(m);
  return status;
}

void eyelet_matmul_free(eyelet_matmul *m) {
  if (m->primitive) dnnl_primitive_destroy(m->primitive);
  if (m->packed) dnnl_memory_desc_destroy(m->packed);
  free_slots(m->slot, m->slots);
  *m = {};
}

dnnl_status_t eyelet_matmul_packer(eyelet_reorder *r, dnnl_engine_t engine, const eyelet_matmul *m,
                                   int64_t k, int64_t n, dnnl_data_type_t type, int64_t k_stride,
                                   int64_t n_stride, int slots) {
  *r = {};
  dnnl_status_t status = guard([&]() -> dnnl_status_t {
    const dnnl_dims_t dims = {k, n}, strides = {k_stride, n_stride};
    Desc from;
    TRY(dnnl_memory_desc_create_with_strides(&from.p, 2, dims, type, strides));
    return reorder_make(r, engine, from.p, m->packed, slots);
  });
  if (status != dnnl_success) eyelet_reorder_free(r);
  return status;
}

void eyelet_reorder_free(eyelet_reorder *r) {
  if (r->primitive) dnnl_primitive_destroy(r->primitive);
  free_slots(r->slot, r->slots);
  *r = {};
}

dnnl_status_t eyelet_matmul_once(const eyelet_matmul *m, const void *src, const void *weights,
                                 const float *bias, void *dst, void *scratch, int threads) {
  return guard([&] {
    Threads run(threads);
    // A threaded plan runs on a team of oneDNN's, whose tiles ggml may have configured, too: see
    // tiles.h.
    std::vector<eyelet_tiles> tiles(threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    eyelet_tiles_keep(&tiles[omp_get_thread_num()]);
    dnnl_status_t status = eyelet_matmul_run(m, 0, src, weights, bias, dst, scratch);
#pragma omp parallel num_threads(threads) if (threads > 1)
    eyelet_tiles_restore(&tiles[omp_get_thread_num()]);
    return status;
  });
}

dnnl_status_t eyelet_reorder_once(const eyelet_reorder *r, int slot, const void *src, void *dst,
                                  void *scratch) {
  return guard([&] {
    Threads run(1);
    return eyelet_reorder_run(r, slot, src, dst, scratch);
  });
}

}  // extern "C"
