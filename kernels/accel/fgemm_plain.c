// The inner loops of float32 products in plain C, for processors without AVX2, and to compare with.
#include "fgemm_parts.h"

#include <string.h>

enum { width = 16, rows = 4 };

static void multiply_few(const float *a, size_t stride, int n, const float *b, int64_t k,
                         float *restrict c) {
  float sum[rows][width] = {{0}};
  for (int64_t i = 0; i < k; i++)
    for (int r = 0; r < n; r++)
      for (int j = 0; j < width; j++)
        sum[r][j] += a[r * stride + i] * b[i * width + j];
  for (int r = 0; r < n; r++)
    for (int j = 0; j < width; j++)
      c[r * width + j] += sum[r][j];
}

static void multiply(const float *a, size_t stride, int64_t n, const float *b, int64_t k, float *c,
                     bool add) {
  if (!add)
    memset(c, 0, sizeof *c * n * width);
  for (int64_t r = 0; r < n; r += rows)
    multiply_few(a + r * stride, stride, n - r < rows ? (int)(n - r) : rows, b, k, c + r * width);
}

static void transpose(float *dst, size_t dst_stride, const float *src, size_t src_stride,
                      int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++)
      dst[c * dst_stride + r] = src[r * src_stride + c];
}

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

// IEEE 754's binary16: the exponent moves by 112. Below the normal numbers, the mantissa after a
// leading one loses that one again.
static float from_f16(uint16_t h) {
  const uint32_t smallest = 113u << 23; // 2^-14
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = (uint32_t)(h & 0x7fff) << 13;
  if (magnitude < 1u << 23) {
    float x = from_bits(smallest + magnitude) - from_bits(smallest);
    return sign ? -x : x;
  }
  uint32_t move = magnitude >= 31u << 23 ? 224 : 112; // infinities and NaNs to the highest exponent
  return from_bits(sign | (magnitude + (move << 23)));
}

static void widen_f16(float *dst, const uint16_t *src, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    dst[i] = from_f16(src[i]);
}

static void widen_bf16(float *dst, const uint16_t *src, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    dst[i] = from_bits((uint32_t)src[i] << 16);
}

const fgemm_kernels fgemm_plain = {"plain",   width,     rows,      multiply,
                                   transpose, widen_f16, widen_bf16};
