// A product of matrices, y[m][n] = sum over k of x[m][k] * w[n][k], as all that computes one takes
// it.
#ifndef EYELET_MATRICES_H
#define EYELET_MATRICES_H

#include <ggml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eyelet_matrices {
  enum ggml_type type; // of w
  int64_t m, n, k;     // m and n at least 0
  const void *w;       // n rows
  size_t w_stride;     // bytes from row to row of w
  const float *x;      // m rows of k numbers
  size_t x_stride;     // numbers from row to row of x
  float *y;            // m rows of n numbers
  size_t y_stride;     // numbers from row to row of y

  // Whether 8 rows of w at a time are interleaved, as ggml's CPU backend repacks them
  // (qgemm_avx2_interleaved.c): they take the place of 8 rows as they were before.
  bool interleaved;
};

#endif
