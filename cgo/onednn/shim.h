#ifndef EYELET_ONEDNN_SHIM_H
#define EYELET_ONEDNN_SHIM_H

#include "primitive.h"

#ifdef __cplusplus
extern "C" {
#endif

// Shapes, types and fusions of a matmul. Strides are of rows, in elements.
typedef struct {
  int64_t m, n, k;
  int64_t src_stride, dst_stride;
  dnnl_data_type_t src, weights, dst;
  int bias;
  int sum;                    // add to what dst holds
  dnnl_alg_kind_t activation; // dnnl_alg_kind_undef for none
  float alpha;
} eyelet_matmul_desc;

// All of these return a status; what they make is zeroed on failure. None lets a C++ exception
// through.
dnnl_status_t eyelet_dnnl_engine(dnnl_engine_t *engine);
// A product planned for a number of threads that oneDNN itself spreads it over: 1 for kernels,
// which run it in as many threads at a time as it has slots.
dnnl_status_t eyelet_matmul_make(eyelet_matmul *m, dnnl_engine_t engine,
                                 const eyelet_matmul_desc *d, int slots, int threads);
void eyelet_matmul_free(eyelet_matmul *m);
// A reorder from a k x n matrix (strides in elements) to the layout that m wants for its weights.
dnnl_status_t eyelet_matmul_packer(eyelet_reorder *r, dnnl_engine_t engine, const eyelet_matmul *m,
                                   int64_t k, int64_t n, dnnl_data_type_t type, int64_t k_stride,
                                   int64_t n_stride, int slots);
void eyelet_reorder_free(eyelet_reorder *r);
// Whole products outside of kernels, on as many threads as oneDNN likes: the yardstick of
// benchmarks.
dnnl_status_t eyelet_matmul_once(const eyelet_matmul *m, const void *src, const void *weights,
                                 const float *bias, void *dst, void *scratch, int threads);
dnnl_status_t eyelet_reorder_once(const eyelet_reorder *r, int slot, const void *src, void *dst,
                                  void *scratch);

#ifdef __cplusplus
}
#endif
#endif
