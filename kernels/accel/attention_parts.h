// The inner loops of softmax over panels of scores: number k of column c, the score of key k for
// query c, is s[k * width + c]. The width is a multiple of 8. Scores are exponents of two.
#ifndef EYELET_ATTENTION_PARTS_H
#define EYELET_ATTENTION_PARTS_H

#include "fgemm_parts.h"

typedef struct {
  // largest[c] = the largest of it and of the n scores of column c.
  void (*raise)(float *largest, const float *s, int64_t n, int width);
  // Replaces scores by 2^(score - largest[c]), 0 below 2^-126, and returns the sums of columns. The
  // relative error is below 3e-7.
  void (*power)(float *s, int64_t n, int width, const float *largest, float *sum);
  // Multiplies each column by a number of its own.
  void (*scale)(float *s, int64_t n, int width, const float *by);
  // Replaces n numbers by cap * tanh(number).
  void (*cap)(float *s, int64_t n, float cap);
  // Adds n numbers, multiplied by slope.
  void (*add)(float *s, const float *mask, int64_t n, float slope);
} attention_kernels;

extern const attention_kernels attention_plain;
#ifdef FGEMM_X86
extern const attention_kernels attention_avx2;
#endif

// 2^f for f from -1/2 to 1/2 is 1 + f * (p[0] + f * (p[1] + ...)); S. L. Moshier, Cephes, exp2f.
#define ATTENTION_EXP2                                                                             \
  6.931472028550421e-1f, 2.402264791363012e-1f, 5.550332471162809e-2f, 9.618437357674640e-3f,      \
      1.339887440266574e-3f, 1.535336188319500e-4f

// Adding it to a number from -126 to 127 leaves the number, rounded to an integer, plus 127 in the
// lowest bits.
#define ATTENTION_MAGIC (12582912.0f + 127)

#endif
