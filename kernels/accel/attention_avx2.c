// The inner loops of softmax for AVX2 and FMA. They are a tenth of attention's work, so that
// processors with wider vectors use them too.
#include "attention_parts.h"

#ifdef FGEMM_X86

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define INLINE static inline __attribute__((always_inline))

AVX2 static void raise_avx2(float *largest, const float *s, int64_t n, int width) {
  for (int c = 0; c < width; c += 8) {
    __m256 top = _mm256_loadu_ps(largest + c);
    for (int64_t i = 0; i < n; i++)
      top = _mm256_max_ps(top, _mm256_loadu_ps(s + i * width + c));
    _mm256_storeu_ps(largest + c, top);
  }
}

// 2^x for x up to 127, NaN for NaN: of a NaN and a number, min and max return the second.
AVX2 INLINE __m256 exp2_avx2(__m256 x) {
  static const float p[] = {ATTENTION_EXP2};
  const __m256 lowest = _mm256_set1_ps(-126), magic = _mm256_set1_ps(ATTENTION_MAGIC);
  const __m256 keep = _mm256_cmp_ps(x, lowest, _CMP_NLT_UQ);
  x = _mm256_max_ps(lowest, x);
  const __m256 shifted = _mm256_add_ps(x, magic),
               f = _mm256_sub_ps(x, _mm256_sub_ps(shifted, magic));
  __m256 y = _mm256_set1_ps(p[5]);
#pragma GCC unroll 5
  for (int i = 4; i >= 0; i--)
    y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(p[i]));
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(1));
  const __m256 power = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(shifted), 23));
  return _mm256_and_ps(_mm256_mul_ps(y, power), keep);
}

AVX2 static void power_avx2(float *s, int64_t n, int width, const float *largest, float *sum) {
  for (int c = 0; c < width; c += 8) {
    const __m256 top = _mm256_loadu_ps(largest + c);
    __m256 total = _mm256_setzero_ps();
    for (int64_t i = 0; i < n; i++) {
      float *at = s + i * width + c;
      const __m256 y = exp2_avx2(_mm256_sub_ps(_mm256_loadu_ps(at), top));
      _mm256_storeu_ps(at, y);
      total = _mm256_add_ps(total, y);
    }
    _mm256_storeu_ps(sum + c, total);
  }
}

AVX2 static void scale_avx2(float *s, int64_t n, int width, const float *by) {
  for (int c = 0; c < width; c += 8) {
    const __m256 factor = _mm256_loadu_ps(by + c);
    for (int64_t i = 0; i < n; i++)
      _mm256_storeu_ps(s + i * width + c,
                       _mm256_mul_ps(_mm256_loadu_ps(s + i * width + c), factor));
  }
}

// tanh x = 1 - 2 / (e^2x + 1). n is a multiple of 8.
AVX2 static void cap_avx2(float *s, int64_t n, float cap) {
  const __m256 one = _mm256_set1_ps(1), top = _mm256_set1_ps(cap), twice = _mm256_set1_ps(2 * cap);
  for (int64_t i = 0; i < n; i += 8) {
    const __m256 x = _mm256_mul_ps(_mm256_loadu_ps(s + i), _mm256_set1_ps(2.88539008f));
    const __m256 e = exp2_avx2(_mm256_min_ps(_mm256_set1_ps(126), x));
    _mm256_storeu_ps(s + i, _mm256_sub_ps(top, _mm256_div_ps(twice, _mm256_add_ps(e, one))));
  }
}

// n is a multiple of 8.
AVX2 static void add_avx2(float *s, const float *mask, int64_t n, float slope) {
  for (int64_t i = 0; i < n; i += 8)
    _mm256_storeu_ps(s + i, _mm256_fmadd_ps(_mm256_set1_ps(slope), _mm256_loadu_ps(mask + i),
                                            _mm256_loadu_ps(s + i)));
}

const attention_kernels attention_avx2 = {raise_avx2, power_avx2, scale_avx2, cap_avx2, add_avx2};

#endif
