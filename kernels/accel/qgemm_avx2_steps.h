// What products of integers are made of for AVX2 and AVX-VNNI: steps along k of up to 6 rows and 16
// columns, and sums.
#ifndef EYELET_QGEMM_AVX2_STEPS_H
#define EYELET_QGEMM_AVX2_STEPS_H

#include "qgemm_avx2_columns.h"

enum { most_rows = 6 }; // of a tile

// What a step does. The sums of 6 rows and 16 columns take 12 registers of 16, and the other four
// are all used too: compilers, which know that integers may be added up in any order, mix rows and
// run out of registers, so steps are in assembly. Bytes are multiplied 4 or 8 of a row at a time,
// numbers of 16 bits 2. The last three kinds are AVX-VNNI's (vpdpbusd, vpdpwssd), which multiply
// and add up in 32 bits.
typedef enum {
  bytes_first,
  bytes_next,
  eights_first,
  eights_next,
  pairs_first,
  pairs_next,
  dots,
  eight_dots,
  pair_dots
} kind;

// How instructions of AVX-VNNI are encoded. With QGEMM_EVEX they are those that AVX-512 VNNI has
// for the same vectors, on which their speed can be measured.
#ifdef QGEMM_EVEX
#define ENCODED "%{evex%} "
#else
#define ENCODED "%{vex%} "
#endif

// The steps that set sums, that add to them, and that do so in one instruction.
#define FIRST_STEP(BROADCAST, MULTIPLY, OF)                                                        \
  __asm__ volatile(BROADCAST " %4, %1\n\t" MULTIPLY " %1, %2, %0\n\t" MULTIPLY " %1, %3, %1"       \
                   : "=&x"(sum[0]), "=&x"(sum[1])                                                  \
                   : "x"(w0), "x"(w1), "m"(*(const OF *)x))
#define NEXT_STEP(BROADCAST, MULTIPLY, ADD, OF)                                                    \
  __asm__ volatile(BROADCAST " %6, %2\n\t" MULTIPLY " %2, %4, %3\n\t" MULTIPLY " %2, %5, %2\n\t" ADD \
                             " %3, %0, %0\n\t" ADD " %2, %1, %1"                                    \
                   : "+x"(sum[0]), "+x"(sum[1]), "=&x"(a), "=&x"(b)                                \
                   : "x"(w0), "x"(w1), "m"(*(const OF *)x))
#define DOT_STEP(BROADCAST, DOT, OF)                                                               \
  __asm__ volatile(BROADCAST " %5, %2\n\t" ENCODED DOT " %2, %3, %0\n\t" ENCODED DOT               \
                             " %2, %4, %1"                                                         \
                   : "+x"(sum[0]), "+x"(sum[1]), "=&x"(a)                                          \
                   : "x"(w0), "x"(w1), "m"(*(const OF *)x))

// The step of a row.
INLINE void multiply_row(kind k, const char *x, __m256i w0, __m256i w1, __m256i sum[2]) {
  __m256i a, b;
  switch (k) {
  case bytes_first: FIRST_STEP("vpbroadcastd", "vpmaddubsw", int32_t); break;
  case bytes_next: NEXT_STEP("vpbroadcastd", "vpmaddubsw", "vpaddw", int32_t); break;
  case eights_first: FIRST_STEP("vpbroadcastq", "vpmaddubsw", int64_t); break;
  case eights_next: NEXT_STEP("vpbroadcastq", "vpmaddubsw", "vpaddw", int64_t); break;
  case pairs_first: FIRST_STEP("vpbroadcastd", "vpmaddwd", int32_t); break;
  case pairs_next: NEXT_STEP("vpbroadcastd", "vpmaddwd", "vpaddd", int32_t); break;
  case dots: DOT_STEP("vpbroadcastd", "vpdpbusd", int32_t); break;
  case eight_dots: DOT_STEP("vpbroadcastq", "vpdpbusd", int64_t); break;
  case pair_dots: DOT_STEP("vpbroadcastd", "vpdpwssd", int32_t); break;
  }
}

// A number of steps.
INLINE void multiply_steps(kind first, kind next, int steps, int r, const char *x, const char *w,
                           __m256i sum[most_rows][2]) {
#pragma GCC unroll 16
  for (int s = 0; s < steps; s++) {
    const __m256i w0 = _mm256_load_si256((const __m256i *)(w + 64 * s)),
                  w1 = _mm256_load_si256((const __m256i *)(w + 64 * s + 32));
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      multiply_row(s ? next : first, x + 4 * (s * r + i), w0, w1, sum[i]);
  }
}

// Sums in memory, of 16 columns and up to most_rows rows.
typedef union {
  __m256i i[most_rows][2];
  __m256 f[most_rows][2];
} sums;

// Keeps sums in memory, as registers are short.
#define IN_MEMORY(s) __asm__ volatile("" : "+m"(s))

// Rows of y lie far apart, and nothing else has asked for them when they are written.
INLINE void fetch(const float *y, size_t stride, int r) {
  for (int i = 0; i < r; i++)
    __builtin_prefetch(y + i * stride, 1);
}

INLINE void put(float *y, size_t stride, const sums *sum, int r, bool add) {
  for (int i = 0; i < r; i++)
    for (int c = 0; c < 2; c++) {
      float *to = y + i * stride + 8 * c;
      _mm256_storeu_ps(to, add ? _mm256_add_ps(_mm256_loadu_ps(to), sum->f[i][c]) : sum->f[i][c]);
    }
}

// Adds integers, times the factors of columns and rows.
INLINE void scale(sums *sum, __m256i dots[most_rows][2], int r, const float *columns,
                  const float *rows) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++) {
      const __m256 by =
          _mm256_mul_ps(_mm256_load_ps(columns + 8 * c), _mm256_broadcast_ss(rows + i));
      sum->f[i][c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[i][c]), by, sum->f[i][c]);
    }
}

// Takes away the offsets of columns, times the sums of rows.
INLINE void offset(sums *sum, int r, const float *columns, const float *rows) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
#pragma GCC unroll 2
    for (int c = 0; c < 2; c++)
      sum->f[i][c] = _mm256_fnmadd_ps(_mm256_load_ps(columns + 8 * c),
                                      _mm256_broadcast_ss(rows + i), sum->f[i][c]);
}

// Sets the integers that a tile's sums start from: of its rows, zero where there are none.
INLINE void start(__m256i sum[most_rows][2], int r, const int32_t *rows) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
    sum[i][0] = sum[i][1] = rows ? _mm256_set1_epi32(rows[i]) : _mm256_setzero_si256();
}

// Adds integers of 32 bits, times integers of the columns, of which the upper halves count.
INLINE void scale_dots(sums *total, __m256i dots[most_rows][2], int r, const char *columns) {
  const __m256i s0 = _mm256_srai_epi32(load(columns), 16),
                s1 = _mm256_srai_epi32(load(columns + 32), 16);
#pragma GCC unroll 6
  for (int i = 0; i < r; i++) {
    total->i[i][0] = _mm256_add_epi32(total->i[i][0], _mm256_mullo_epi32(dots[i][0], s0));
    total->i[i][1] = _mm256_add_epi32(total->i[i][1], _mm256_mullo_epi32(dots[i][1], s1));
  }
}

// Adds integers of 16 bits, times integers of the columns, which stand twice.
INLINE void scale_integers(sums *total, __m256i dots[most_rows][2], int r, const char *columns) {
  const __m256i s0 = load(columns), s1 = load(columns + 32);
#pragma GCC unroll 6
  for (int i = 0; i < r; i++) {
    total->i[i][0] = _mm256_add_epi32(total->i[i][0], _mm256_madd_epi16(dots[i][0], s0));
    total->i[i][1] = _mm256_add_epi32(total->i[i][1], _mm256_madd_epi16(dots[i][1], s1));
  }
}

#endif
