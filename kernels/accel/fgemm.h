// Products of weights that are floats, or become floats, and float activations: y[m][n] = sum over
// k of x[m][k] * w[n][k], in float32.
//
// Rows of weights are widened to float32 a block at a time, and never transposed: it is x, which
// has fewer rows, that is packed into panels (fgemm_parts.h). The blocks follow the caches, as in
// K. Goto, R. van de Geijn, Anatomy of high-performance matrix multiplication (2008), and F. Van
// Zee, R. van de Geijn, BLIS (2015).
#ifndef EYELET_FGEMM_H
#define EYELET_FGEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct eyelet_fgemm {
  int type;        // of w, a ggml_type
  int64_t m, n, k; // m and n at least 0
  const void *w;   // n rows
  size_t w_stride; // bytes from row to row of w
  const float *x;  // m rows of k numbers
  size_t x_stride; // numbers from row to row of x
  float *y;        // m rows of n numbers
  size_t y_stride; // numbers from row to row of y

  // For types other than F32, F16 and BF16: converts a number of weights that block divides, from
  // the start of a block. NULL otherwise.
  void (*to_float)(const void *w, float *dst, int64_t n);
  int64_t block;      // weights of a block of the type
  size_t block_bytes; // bytes of a block
};

// Whether eyelet_fgemm_run takes such weights without a to_float.
bool eyelet_fgemm_supports(int ggml_type, int64_t k);

// Computes the product on a team of threads of its own. Returns false, with nothing written, if it
// does not take such weights (with a to_float: if k is no multiple of block) or memory is short.
// One call at a time.
bool eyelet_fgemm_run(const struct eyelet_fgemm *g, int threads);

// The instructions that eyelet_fgemm_run uses here: "avx512", "avx2" or "plain".
const char *eyelet_fgemm_isa(void);

// Makes eyelet_fgemm_run use other instructions, for tests; NULL for the best. Returns false if the
// processor lacks them.
bool eyelet_fgemm_use(const char *isa);

// Frees the scratch memory, which eyelet_fgemm_run otherwise keeps: at most some 16 MiB, and 640
// KiB a thread.
void eyelet_fgemm_free(void);

// The bytes of that memory now.
size_t eyelet_fgemm_kept(void);

#ifdef __cplusplus
}
#endif
#endif
