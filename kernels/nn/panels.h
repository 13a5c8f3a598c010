// Matrix products of our own for processors with AVX2 and FMA but no AVX-512, VNNI or bfloat16:
// there they beat the library's (docs/measurements.md). Weights are packed once, in panels of 16
// columns, so that the innermost loop reads them in one stream and keeps a tile of sums in
// registers (Goto and van de Geijn 2008; Van Zee and van de Geijn 2015).
#ifndef EYELET_NN_PANELS_H
#define EYELET_NN_PANELS_H

#include "rows.h"
#include <stddef.h>

// The columns of a panel; weights have room for whole panels.
enum { NN_PANEL = 16 };

// nn_panels_supported reports whether the processor can run the functions below, at the level that
// it is held to.
int nn_panels_supported(void);

// What becomes of the sums of a product: c = act(sums + bias), or, without an activation, c += sums
// + bias.
typedef struct {
  const float *bias; // a number for each column; NULL for none
  nn_activation activation;
  int add;   // to what c holds
  int round; // to bfloat16
} nn_finish;

// nn_panels_pack copies a k x n matrix whose element (i, j) stands at src + i * k_stride + j *
// n_stride; dst has nn_panels_size(k, n) numbers, and stands at a multiple of 32 bytes.
size_t nn_panels_size(int k, int n);
void nn_panels_pack(float *dst, const float *src, size_t k_stride, size_t n_stride, int k, int n);

// nn_panels_run computes c = finish(a * packed): a is m x k with rows lda numbers apart, c m x n
// with rows ldc apart. scratch has nn_panels_scratch(m) bytes.
size_t nn_panels_scratch(int m);
void nn_panels_run(const float *a, size_t lda, const float *packed, float *c, size_t ldc, int m,
                   int n, int k, nn_finish f, float *scratch);

// The same for integers. Weights are stored in 8 bits, or in 16, of which they use 10. Of the 31
// bits of a sum, the depth of a piece of a panel takes 9, and activations the rest: 16 or 14 bits,
// signs included.
typedef enum { NN_BITS8, NN_BITS16 } nn_bits;
static inline int nn_largest_weight(nn_bits b) { return b == NN_BITS8 ? 127 : 511; }
static inline int nn_largest_activation(nn_bits b) { return b == NN_BITS8 ? 32767 : 8191; }

// Panels are cut into pieces of some depth, and each column of a piece has a scale. src holds n
// rows of k weights, which are multiplied by the k numbers of `by`; dst has nn_panels16_size(b, k,
// n) bytes, and stands at a multiple of 32, scales has nn_panels16_scales(k, n) numbers.
size_t nn_panels16_size(nn_bits b, int k, int n);
size_t nn_panels16_scales(int k, int n);
void nn_panels16_pack(nn_bits b, void *dst, float *scales, const float *src, const float *by, int k,
                      int n);

// nn_panels16_run computes c = finish(rows[r].scale * a * packed) over numbers in a of at most
// nn_largest_activation. Its rows are lda numbers apart; where k is odd, one more than k is read,
// and must be there. scratch has nn_panels16_scratch(m) bytes and stands at a multiple of 32.
size_t nn_panels16_scratch(int m);
void nn_panels16_run(nn_bits b, const int16_t *a, size_t lda, const nn_range *rows,
                     const void *packed, const float *scales, float *c, size_t ldc, int m, int n,
                     int k, nn_finish f, void *scratch);

#endif
