#include "rows.h"

#include <math.h>
#include <string.h>

// The loops below are plain C that compilers vectorise. Where the compiler and the loader can do it, each is compiled once for each
// level of x86-64 and the processor's own is chosen when the program starts; elsewhere (arm64, macOS) the baseline has the vectors.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

// GCC assumes that comparisons may trap, and then vectorises no loop that clamps. (As a pragma, since cgo takes no such flag; clang
// assumes no traps.)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math", "no-math-errno")
#endif

// fast_exp is e^x to 2 units in the last place for x <= 88: x = n ln 2 + r, a polynomial for e^r (the coefficients are those of
// Cephes' expf, S. L. Moshier), and n added to the exponent. Below -87 it returns e^-87.
INLINE float fast_exp(float x) {
  const float magic = 12582912.0f; // 1.5 * 2^23: adding and subtracting it rounds to an integer
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  float n = (x * 1.44269504f + magic) - magic;
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

INLINE float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// fast_erf has an absolute error below 2e-7 (Abramowitz and Stegun, 7.1.26).
INLINE float fast_erf(float x) {
  float a = fabsf(x);
  float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  return copysignf(1.0f - p * t * fast_exp(-a * a), x);
}

// to_bf16 rounds to nearest, ties to even; the numbers here are finite.
INLINE uint16_t to_bf16(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

INLINE float from_bf16(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float x;
  memcpy(&x, &u, 4);
  return x;
}

CLONES void nn_row_norm(float *restrict dst, const float *restrict x, const float *restrict gain, const float *restrict bias, int n, float eps) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; i++)
    sum += x[i];
  float mean = sum / n, square = 0;
#pragma omp simd reduction(+ : square)
  for (int i = 0; i < n; i++)
    square += (x[i] - mean) * (x[i] - mean);
  float f = 1.0f / sqrtf(square / n + eps);
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = (x[i] - mean) * f * gain[i] + bias[i];
}

CLONES static void put_bf16(uint16_t *restrict dst, const float *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = to_bf16(x[i]);
}

CLONES static void get_bf16(float *restrict dst, const uint16_t *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = from_bf16(x[i]);
}

CLONES void nn_row_round(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = from_bf16(to_bf16(x[i]));
}

void nn_row_put(void *dst, const float *x, int n, nn_store s) {
  if (s == NN_BF16) {
    put_bf16(dst, x, n);
    return;
  }
  if (dst != x)
    memmove(dst, x, sizeof *x * n);
  if (s == NN_ROUNDED)
    nn_row_round(dst, n);
}

void nn_row_get(float *dst, const void *x, int n, nn_store s) {
  if (s == NN_BF16)
    get_bf16(dst, x, n);
  else
    memcpy(dst, x, sizeof *dst * n);
}

CLONES nn_range nn_row_quantize(uint8_t *restrict dst, const float *restrict x, int n, int limit) {
  float low = 0, high = 0;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (int i = 0; i < n; i++) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  if (!(high - low > 1e-30f)) { // nothing to scale; the division would overflow
    memset(dst, 0, n);
    return (nn_range){0, 0};
  }
  const float magic = 12582912.0f; // as in fast_exp
  float f = limit / (high - low);
  int32_t zero = (int32_t)((-low * f + magic) - magic);
#pragma omp simd
  for (int i = 0; i < n; i++) {
    int32_t q = (int32_t)((x[i] * f + magic) - magic) + zero;
    q = q > limit ? limit : q; // both ends may round outwards
    dst[i] = (uint8_t)(q < 0 ? 0 : q);
  }
  return (nn_range){(high - low) / limit, zero};
}

CLONES void nn_row_dequantize(float *restrict dst, const int32_t *restrict acc, nn_range row, const float *restrict column,
                              const int32_t *restrict sum, const float *restrict bias, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = row.scale * column[i] * (float)(acc[i] - row.zero * sum[i]) + bias[i];
}

CLONES static void quick_gelu(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = x[i] * sigmoid(1.702f * x[i]);
}

CLONES static void silu(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = x[i] * sigmoid(x[i]);
}

CLONES static void gelu(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = 0.5f * x[i] * (1.0f + fast_erf(x[i] * 0.70710678f));
}

// gelu_tanh: 0.5 x (1 + tanh(u)) is x sigmoid(2u).
CLONES static void gelu_tanh(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = x[i] * sigmoid(1.59576912f * (x[i] + 0.044715f * x[i] * x[i] * x[i]));
}

void nn_row_activate(float *x, int n, nn_activation a) {
  switch (a) {
  case NN_QUICK_GELU:
    quick_gelu(x, n);
    break;
  case NN_GELU:
    gelu(x, n);
    break;
  case NN_GELU_TANH:
    gelu_tanh(x, n);
    break;
  case NN_SILU:
    silu(x, n);
    break;
  case NN_NONE:
    break;
  }
}

CLONES void nn_row_add(float *restrict dst, const float *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] += x[i];
}

CLONES static float softmax_f32(float *x, int n, float scale) {
  float largest = -INFINITY, sum = 0;
#pragma omp simd reduction(max : largest)
  for (int i = 0; i < n; i++)
    largest = x[i] > largest ? x[i] : largest;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; i++) {
    x[i] = fast_exp((x[i] - largest) * scale);
    sum += x[i];
  }
  return sum;
}

float nn_row_softmax(void *dst, float *x, int n, float scale, nn_store s) {
  float sum = softmax_f32(x, n, scale);
  nn_row_put(dst, x, n, s);
  return sum;
}

CLONES static void scale_f32(float *dst, const float *x, float f, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = x[i] * f;
}

CLONES static void scale_bf16(uint16_t *restrict dst, const float *restrict x, float f, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = to_bf16(x[i] * f);
}

void nn_row_scale(void *dst, const float *x, float f, int n, nn_store s) {
  if (s == NN_BF16) {
    scale_bf16(dst, x, f, n);
    return;
  }
  scale_f32(dst, x, f, n);
  if (s == NN_ROUNDED)
    nn_row_round(dst, n);
}

CLONES float nn_channel_quantize(int8_t *restrict dst, const float *restrict w, int n, int32_t *sum) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int i = 0; i < n; i++) {
    float a = w[i] < 0 ? -w[i] : w[i];
    largest = a > largest ? a : largest;
  }
  *sum = 0;
  if (!(largest > 1e-30f)) {
    memset(dst, 0, n);
    return 0;
  }
  const float magic = 12582912.0f; // as in fast_exp
  float f = 127 / largest;
  int32_t total = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < n; i++) {
    int32_t q = (int32_t)((w[i] * f + magic) - magic);
    dst[i] = (int8_t)q;
    total += q;
  }
  *sum = total;
  return largest / 127;
}
