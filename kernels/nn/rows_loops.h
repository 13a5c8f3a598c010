// The loops of rows.c, which loops.h of cgo/isa compiles for each level of instruction sets.

TARGET static void LEVEL(norm)(float *restrict dst, const float *restrict x,
                               const float *restrict gain, const float *restrict bias, int n,
                               float eps) {
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

TARGET static void LEVEL(rms_norm)(float *restrict dst, const float *restrict x,
                                   const float *restrict gain, int n, float eps) {
  float square = 0;
#pragma omp simd reduction(+ : square)
  for (int i = 0; i < n; i++)
    square += x[i] * x[i];
  float f = 1.0f / sqrtf(square / n + eps);
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = x[i] * f * gain[i];
}

TARGET static void LEVEL(rotate)(float *restrict a, float *restrict b,
                                 const float *restrict cosines, const float *restrict sines,
                                 int n) {
#pragma omp simd
  for (int i = 0; i < n; i++) {
    float x = a[i], y = b[i];
    a[i] = x * cosines[i] - y * sines[i];
    b[i] = y * cosines[i] + x * sines[i];
  }
}

TARGET static void LEVEL(multiply)(float *restrict dst, const float *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] *= x[i];
}

TARGET static void LEVEL(put_bf16)(uint16_t *restrict dst, const float *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = to_bf16(x[i]);
}

TARGET static void LEVEL(get_bf16)(float *restrict dst, const uint16_t *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = from_bf16(x[i]);
}

TARGET static void LEVEL(round)(float *x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    x[i] = from_bf16(to_bf16(x[i]));
}

TARGET static nn_range LEVEL(quantize)(uint8_t *restrict dst, const float *restrict x, int n,
                                       int limit) {
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

TARGET static void LEVEL(dequantize)(float *restrict dst, const int32_t *restrict acc, nn_range row,
                                     const float *restrict column, const int32_t *restrict sum,
                                     const float *restrict bias, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = row.scale * column[i] * (float)(acc[i] - row.zero * sum[i]) + bias[i];
}

// Applies a function of scalar.h to n numbers.
#define EACH(function)                                    \
  TARGET static void LEVEL(function)(float *x, int n) {   \
    _Pragma("omp simd")                                   \
    for (int i = 0; i < n; i++)                           \
      x[i] = function(x[i]);                              \
  }
EACH(quick_gelu)
EACH(silu)
EACH(gelu)
EACH(gelu_tanh)
#undef EACH

TARGET static void LEVEL(add)(float *restrict dst, const float *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] += x[i];
}

TARGET static float LEVEL(softmax)(float *x, int n, float scale) {
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

TARGET static void LEVEL(scale)(float *dst, const float *x, float f, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = x[i] * f;
}

TARGET static void LEVEL(scale_bf16)(uint16_t *restrict dst, const float *restrict x, float f,
                                     int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = to_bf16(x[i] * f);
}

TARGET static float LEVEL(quantize_channel)(int8_t *restrict dst, const float *restrict w, int n,
                                            int32_t *sum) {
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

static const loops LEVEL(loops) = {
    LEVEL(norm),       LEVEL(rms_norm),   LEVEL(rotate),
    LEVEL(multiply),   LEVEL(put_bf16),   LEVEL(get_bf16),
    LEVEL(round),      LEVEL(quantize),   LEVEL(dequantize),
    LEVEL(quick_gelu), LEVEL(silu),       LEVEL(gelu),
    LEVEL(gelu_tanh),  LEVEL(add),        LEVEL(softmax),
    LEVEL(scale),      LEVEL(scale_bf16), LEVEL(quantize_channel),
};
