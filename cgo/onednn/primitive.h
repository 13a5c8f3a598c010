// The part of oneDNN that the kernels call in their inner loops. It is a header so that C kernels
// outside this package can run a primitive without going through Go: Go makes a primitive and hands
// over its pointer.
//
// A primitive here is made for one thread. Kernels split their rows by hand over the threads of an
// OpenMP region and let each run the primitive on its own rows, which keeps element-wise work next
// to the product and needs no barrier between the two. oneDNN's own splitting kept 577 x 1024 x
// 1024 on one thread (3.12).
#ifndef EYELET_ONEDNN_PRIMITIVE_H
#define EYELET_ONEDNN_PRIMITIVE_H

#include <oneapi/dnnl/dnnl.h>
#include <stddef.h>

#include "tiles.h"

#ifdef __cplusplus
extern "C" {
#endif

// Memory objects of one thread. oneDNN's execute takes buffers only inside such objects, and those
// must not be shared by threads that run at the same time.
typedef struct {
  dnnl_memory_t src, weights, bias, dst, scratch;
  dnnl_stream_t stream;
} eyelet_dnnl_slot;

// dst = act(src * weights + bias [+ dst]): src m x k, weights k x n in a layout of oneDNN's choice,
// dst m x n.
typedef struct {
  dnnl_primitive_t primitive;
  dnnl_memory_desc_t packed; // layout of the weights
  size_t packed_bytes, scratch_bytes;
  int slots, has_bias;
  eyelet_dnnl_slot *slot;
} eyelet_matmul;

// A copy from one layout to another.
typedef struct {
  dnnl_primitive_t primitive;
  size_t scratch_bytes;
  int slots;
  eyelet_dnnl_slot *slot;
} eyelet_reorder;

// eyelet_dnnl_execute runs a primitive and leaves the calling thread's tiles as it found them: all
// code that runs one on a thread of ggml's goes through it.
static inline dnnl_status_t eyelet_dnnl_execute(dnnl_primitive_t primitive, dnnl_stream_t stream,
                                                int count, const dnnl_exec_arg_t *args) {
  eyelet_tiles tiles;
  eyelet_tiles_keep(&tiles);
  dnnl_status_t status = dnnl_primitive_execute(primitive, stream, count, args);
  eyelet_tiles_restore(&tiles);
  return status;
}

// eyelet_matmul_run runs a matmul with the memory objects of a slot; each thread has its own slot
// and its own scratch buffer of scratch_bytes, aligned to 64 bytes. bias is ignored by a matmul
// that was made without.
static inline dnnl_status_t eyelet_matmul_run(const eyelet_matmul *m, int slot, const void *src,
                                              const void *weights, const float *bias, void *dst,
                                              void *scratch) {
  eyelet_dnnl_slot *s = &m->slot[slot];
  dnnl_exec_arg_t args[5] = {{DNNL_ARG_SRC, s->src},
                             {DNNL_ARG_WEIGHTS, s->weights},
                             {DNNL_ARG_DST, s->dst},
                             {DNNL_ARG_SCRATCHPAD, s->scratch},
                             {DNNL_ARG_BIAS, s->bias}};
  // Setting a handle only stores a pointer; it fails for a null object alone.
  dnnl_memory_set_data_handle(s->src, (void *)src);
  dnnl_memory_set_data_handle(s->weights, (void *)weights);
  dnnl_memory_set_data_handle(s->dst, dst);
  dnnl_memory_set_data_handle(s->scratch, scratch);
  if (m->has_bias)
    dnnl_memory_set_data_handle(s->bias, (void *)bias);
  return eyelet_dnnl_execute(m->primitive, s->stream, m->has_bias ? 5 : 4, args);
}

static inline dnnl_status_t eyelet_reorder_run(const eyelet_reorder *r, int slot, const void *src,
                                               void *dst, void *scratch) {
  eyelet_dnnl_slot *s = &r->slot[slot];
  dnnl_exec_arg_t args[3] = {
      {DNNL_ARG_FROM, s->src}, {DNNL_ARG_TO, s->dst}, {DNNL_ARG_SCRATCHPAD, s->scratch}};
  dnnl_memory_set_data_handle(s->src, (void *)src);
  dnnl_memory_set_data_handle(s->dst, dst);
  dnnl_memory_set_data_handle(s->scratch, scratch);
  return eyelet_dnnl_execute(r->primitive, s->stream, 3, args);
}

#ifdef __cplusplus
}
#endif
#endif
