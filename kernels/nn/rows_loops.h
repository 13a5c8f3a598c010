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

TARGET static nn_extent LEVEL(balance)(float *restrict x, const float *restrict by, int n) {
  float low = 0, high = 0, square = 0;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(+ : square)
  for (int i = 0; i < n; i++) {
    float y = x[i] * by[i];
    low = y < low ? y : low;
    high = y > high ? y : high;
    square += y * y;
    x[i] = y;
  }
  return (nn_extent){low, high, square};
}

// Adding and subtracting MAGIC rounds to an integer, as in fast_exp.
#define MAGIC 12582912.0f

TARGET static nn_range LEVEL(quantize)(uint8_t *restrict dst, const float *restrict x, int n,
                                       nn_extent e, int limit) {
  float range = e.high - e.low;
  if (!(range > 1e-30f)) { // nothing to scale; the division would overflow
    memset(dst, 0, n);
    return (nn_range){0, 0};
  }
  float f = limit / range;
  int32_t zero = (int32_t)((-e.low * f + MAGIC) - MAGIC);
#pragma omp simd
  for (int i = 0; i < n; i++) {
    int32_t q = (int32_t)((x[i] * f + MAGIC) - MAGIC) + zero;
    q = q > limit ? limit : q; // both ends may round outwards
    dst[i] = (uint8_t)(q < 0 ? 0 : q);
  }
  return (nn_range){range / limit, zero};
}

TARGET static void LEVEL(quantize_rest)(uint8_t *restrict dst, const float *restrict x,
                                        const uint8_t *restrict coarse, int n, nn_range row,
                                        int limit) {
  float f = 1 / row.scale, steps = limit + 1, half = steps / 2;
#pragma omp simd
  for (int i = 0; i < n; i++) {
    float rest = x[i] * f - (float)((int32_t)coarse[i] - row.zero);
    int32_t q = (int32_t)((rest * steps + half + MAGIC) - MAGIC);
    q = q > limit ? limit : q;
    dst[i] = (uint8_t)(q < 0 ? 0 : q);
  }
}

TARGET static nn_range LEVEL(quantize16)(int16_t *restrict dst, const float *restrict x, int n,
                                         nn_extent e, int limit) {
  float largest = -e.low > e.high ? -e.low : e.high;
  if (!(largest > 1e-30f)) {
    memset(dst, 0, sizeof *dst * n);
    return (nn_range){0, 0};
  }
  float f = limit / largest;
#pragma omp simd
  for (int i = 0; i < n; i++) {
    int32_t q = (int32_t)((x[i] * f + MAGIC) - MAGIC);
    q = q > limit ? limit : q;
    dst[i] = (int16_t)(q < -limit ? -limit : q);
  }
  return (nn_range){largest / limit, 0};
}

TARGET static void LEVEL(dequantize)(float *restrict dst, const int32_t *restrict acc, nn_range row,
                                     const float *restrict column, const int32_t *restrict sum,
                                     const float *restrict bias, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = row.scale * column[i] * (float)(acc[i] - row.zero * sum[i]) + bias[i];
}

TARGET static void LEVEL(dequantize_rest)(float *restrict dst, const int32_t *restrict acc,
                                          nn_range row, const float *restrict column,
                                          const int32_t *restrict sum, int limit, int n) {
  float step = row.scale / (limit + 1);
  int32_t half = (limit + 1) / 2;
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] += step * column[i] * (float)(acc[i] - half * sum[i]);
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

TARGET static nn_channel LEVEL(quantize_channel)(int8_t *restrict dst, const float *restrict w,
                                                 const float *restrict by, int n) {
  float largest = 0, square = 0;
#pragma omp simd reduction(max : largest) reduction(+ : square)
  for (int i = 0; i < n; i++) {
    float x = w[i] * by[i], a = x < 0 ? -x : x;
    largest = a > largest ? a : largest;
    square += x * x;
  }
  if (!(largest > 1e-30f)) {
    memset(dst, 0, n);
    return (nn_channel){0};
  }
  float f = 127 / largest;
  int32_t total = 0;
#pragma omp simd reduction(+ : total)
  for (int i = 0; i < n; i++) {
    int32_t q = (int32_t)((w[i] * by[i] * f + MAGIC) - MAGIC);
    dst[i] = (int8_t)q;
    total += q;
  }
  return (nn_channel){largest / 127, total, 4 * largest * largest / (square / n)};
}

TARGET static float LEVEL(quantize_piece)(int16_t *restrict dst, const float *restrict w,
                                          const float *restrict by, int n, int limit) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (int i = 0; i < n; i++) {
    float x = w[i] * by[i], a = x < 0 ? -x : x;
    largest = a > largest ? a : largest;
  }
  if (!(largest > 1e-30f)) {
    memset(dst, 0, sizeof *dst * n);
    return 0;
  }
  float f = limit / largest;
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] = (int16_t)(int32_t)((w[i] * by[i] * f + MAGIC) - MAGIC);
  return largest / limit;
}

TARGET static void LEVEL(add_squares)(float *restrict dst, const float *restrict x, int n) {
#pragma omp simd
  for (int i = 0; i < n; i++)
    dst[i] += x[i] * x[i];
}

static const loops LEVEL(loops) = {
    LEVEL(norm),
    LEVEL(rms_norm),
    LEVEL(rotate),
    LEVEL(multiply),
    LEVEL(put_bf16),
    LEVEL(get_bf16),
    LEVEL(round),
    LEVEL(balance),
    LEVEL(quantize),
    LEVEL(quantize_rest),
    LEVEL(quantize16),
    LEVEL(dequantize),
    LEVEL(dequantize_rest),
    LEVEL(quick_gelu),
    LEVEL(silu),
    LEVEL(gelu),
    LEVEL(gelu_tanh),
    LEVEL(add),
    LEVEL(softmax),
    LEVEL(scale),
    LEVEL(scale_bf16),
    LEVEL(quantize_channel),
    LEVEL(quantize_piece),
    LEVEL(add_squares),
};
#undef MAGIC
