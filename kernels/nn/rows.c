#include "rows.h"
#include "scalar.h"

// The loops below are plain C that compilers vectorise. Where the compiler and the loader can do it, each is compiled once for each
// level of x86-64 and the processor's own is chosen when the program starts; elsewhere (arm64, macOS) the baseline has the vectors.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

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

CLONES static void quick_gelu_row(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = quick_gelu(x[i]);
}

CLONES static void silu_row(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = silu(x[i]);
}

CLONES static void gelu_row(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = gelu(x[i]);
}

CLONES static void gelu_tanh_row(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = gelu_tanh(x[i]);
}

void nn_row_activate(float *x, int n, nn_activation a) {
  switch (a) {
  case NN_QUICK_GELU:
    quick_gelu_row(x, n);
    break;
  case NN_GELU:
    gelu_row(x, n);
    break;
  case NN_GELU_TANH:
    gelu_tanh_row(x, n);
    break;
  case NN_SILU:
    silu_row(x, n);
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
