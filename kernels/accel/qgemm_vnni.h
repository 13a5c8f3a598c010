// What products of integers are made of for AVX-512 with VNNI: an instruction multiplies 64 bytes
// without sign with 64 bytes with sign and adds them up in 32 bits, four by four (vpdpbusd), or 32
// pairs of numbers of 16 bits (vpdpwssd). Loops over the r rows of a tile are unrolled: their
// number is a constant where these functions are inlined.
#ifndef EYELET_QGEMM_VNNI_H
#define EYELET_QGEMM_VNNI_H

#include <immintrin.h>

#include "qgemm_parts.h"

#define VNNI __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")))
#define INLINE VNNI static inline __attribute__((always_inline))

// Adds the products of a step. The compiler would load x into a register of its own first.
INLINE __m512i add_bytes(__m512i sum, __m512i w, const char *x) {
  __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int32_t *)x));
  return sum;
}

INLINE __m512i add_pairs(__m512i sum, __m512i w, const char *x) {
  __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int32_t *)x));
  return sum;
}

INLINE void clear(__m512i *v, int r) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++)
    v[i] = _mm512_setzero_si512();
}

// Adds integers, times the factors of columns and rows.
INLINE void scale(__m512 *sum, const __m512i *dots, int r, __m512 columns, const float *rows) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++)
    sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[i]),
                             _mm512_mul_ps(columns, _mm512_set1_ps(rows[i])), sum[i]);
}

// Adds integers, times integers of the columns.
INLINE void scale_integers(__m512i *total, const __m512i *dots, int r, __m512i factor) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++)
    total[i] = _mm512_add_epi32(total[i], _mm512_mullo_epi32(dots[i], factor));
}

// Rows of y lie far apart, and nothing else has asked for them when they are written.
INLINE void begin(__m512 *sum, const float *y, size_t stride, int r) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++) {
    sum[i] = _mm512_setzero_ps();
    __builtin_prefetch(y + i * stride, 1);
  }
}

INLINE void put(float *y, size_t stride, const __m512 *sum, int r, bool add) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++) {
    float *to = y + i * stride;
    _mm512_storeu_ps(to, add ? _mm512_add_ps(_mm512_loadu_ps(to), sum[i]) : sum[i]);
  }
}

#endif
