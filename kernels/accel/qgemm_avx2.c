#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include <immintrin.h>
#include <string.h>

#include "../../cgo/isa/isa.h"

enum { most_rows = 6 }; // of a tile

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

// What a step does. The sums of 6 rows and 16 columns take 12 registers of 16, and the other four
// are all used too: compilers, which know that integers may be added up in any order, mix rows and
// run out of registers, so steps are in assembly.
typedef enum { bytes_first, bytes_next, pairs_first, pairs_next } kind;

// The step of a row.
INLINE void multiply_row(kind k, const char *x, __m256i w0, __m256i w1, __m256i sum[2]) {
  __m256i a, b;
  switch (k) {
  case bytes_first:
    __asm__ volatile("vpbroadcastd %4, %1\n\tvpmaddubsw %1, %2, %0\n\tvpmaddubsw %1, %3, %1"
                     : "=&x"(sum[0]), "=&x"(sum[1])
                     : "x"(w0), "x"(w1), "m"(*(const int32_t *)x));
    break;
  case pairs_first:
    __asm__ volatile("vpbroadcastd %4, %1\n\tvpmaddwd %1, %2, %0\n\tvpmaddwd %1, %3, %1"
                     : "=&x"(sum[0]), "=&x"(sum[1])
                     : "x"(w0), "x"(w1), "m"(*(const int32_t *)x));
    break;
  case bytes_next:
    __asm__ volatile("vpbroadcastd %6, %2\n\tvpmaddubsw %2, %4, %3\n\tvpmaddubsw %2, %5, "
                     "%2\n\tvpaddw %3, %0, %0\n\tvpaddw %2, %1, %1"
                     : "+x"(sum[0]), "+x"(sum[1]), "=&x"(a), "=&x"(b)
                     : "x"(w0), "x"(w1), "m"(*(const int32_t *)x));
    break;
  case pairs_next:
    __asm__ volatile("vpbroadcastd %6, %2\n\tvpmaddwd %2, %4, %3\n\tvpmaddwd %2, %5, %2\n\tvpaddd "
                     "%3, %0, %0\n\tvpaddd %2, %1, %1"
                     : "+x"(sum[0]), "+x"(sum[1]), "=&x"(a), "=&x"(b)
                     : "x"(w0), "x"(w1), "m"(*(const int32_t *)x));
    break;
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

// Sums of 16 bits take two products a step: of 4-bit weights those of a whole piece (15 * 127 * 16
// = 30480), of 5-bit weights those of 4 steps (31 * 127 * 8 = 31496), of 6-bit weights those of 2
// (63 * 127 * 4 = 32004). After fold steps they are taken to 32 bits.

INLINE void multiply_bytes(int fold, const char *tile, int r, const char *panel, int64_t pieces,
                           float *y, size_t stride, bool add) {
  const __m256i ones = _mm256_set1_epi16(1);
  sums sum = {0};
  fetch(y, stride, r);
  for (int64_t p = 0; p < pieces; p++, panel += qgemm_bytes_offsets + 64, tile += 40 * r) {
    const float *scales = (const float *)(panel + qgemm_bytes_scales),
                *offsets = (const float *)(panel + qgemm_bytes_offsets);
    const float *x = (const float *)(tile + 32 * r), *xsum = x + r;
    __m256i dot[most_rows][2], half[most_rows][2];
    IN_MEMORY(sum);
    multiply_steps(bytes_first, bytes_next, fold, r, tile, panel, dot);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      for (int c = 0; c < 2; c++)
        dot[i][c] = _mm256_madd_epi16(dot[i][c], ones);
    if (fold < 8) {
      sums first;
      memcpy(&first, dot, sizeof *dot * r);
      IN_MEMORY(first);
      multiply_steps(bytes_first, bytes_next, fold, r, tile + 4 * fold * r, panel + 64 * fold,
                     half);
#pragma GCC unroll 6
      for (int i = 0; i < r; i++)
        for (int c = 0; c < 2; c++)
          dot[i][c] = _mm256_add_epi32(_mm256_madd_epi16(half[i][c], ones), first.i[i][c]);
    }
    scale(&sum, dot, r, scales, x);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      for (int c = 0; c < 2; c++)
        sum.f[i][c] = _mm256_fnmadd_ps(_mm256_load_ps(offsets + 8 * c),
                                       _mm256_broadcast_ss(xsum + i), sum.f[i][c]);
  }
  put(y, stride, &sum, r, add);
}

INLINE void multiply_shorts(const char *tile, int r, const char *panel, int64_t pieces, float *y,
                            size_t stride, bool add) {
  sums sum = {0};
  fetch(y, stride, r);
  for (int64_t p = 0; p < pieces; p++, panel += qgemm_shorts_scales + 64, tile += 68 * r) {
    __m256i dot[most_rows][2];
    IN_MEMORY(sum);
    multiply_steps(pairs_first, pairs_next, 16, r, tile, panel, dot);
    scale(&sum, dot, r, (const float *)(panel + qgemm_shorts_scales),
          (const float *)(tile + 64 * r));
  }
  put(y, stride, &sum, r, add);
}

// The integer scales come in where 16 bits become 32. Where one factor is for both (same), the
// offsets are the first to be added up.
INLINE void multiply_supers(int subs, int fold, bool same, const char *tile, int r,
                            const char *panel, int64_t pieces, float *y, size_t stride, bool add) {
  sums sum = {0}, total;
  fetch(y, stride, r);
  for (int64_t p = 0; p < pieces; p++, tile += (256 + 2 * subs + 4) * r) {
    const char *scales = panel + qgemm_supers_scales, *offsets = scales + 64 * subs;
    const float *d = (const float *)(offsets + 32 * subs),
                *x = (const float *)(tile + (256 + 2 * subs) * r);
    __m256i dot[most_rows][2];
    IN_MEMORY(sum);
    multiply_steps(pairs_first, pairs_next, subs / 2, r, tile + 256 * r, offsets, dot);
    if (!same)
      scale(&sum, dot, r, d + 16, x);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      for (int c = 0; c < 2; c++)
        total.i[i][c] = same ? dot[i][c] : _mm256_setzero_si256();
    const char *steps = tile;
    for (int sub = 0; sub < subs; sub++, scales += 64)
      for (int s = 0; s < 64 / subs; s += fold, steps += 4 * fold * r, panel += 64 * fold) {
        IN_MEMORY(total);
        multiply_steps(bytes_first, bytes_next, fold, r, steps, panel, dot);
        const __m256i s0 = _mm256_load_si256((const __m256i *)scales),
                      s1 = _mm256_load_si256((const __m256i *)(scales + 32));
#pragma GCC unroll 6
        for (int i = 0; i < r; i++) {
          total.i[i][0] = _mm256_add_epi32(total.i[i][0], _mm256_madd_epi16(dot[i][0], s0));
          total.i[i][1] = _mm256_add_epi32(total.i[i][1], _mm256_madd_epi16(dot[i][1], s1));
        }
      }
    IN_MEMORY(total);
    scale(&sum, total.i, r, d, x);
    panel = (const char *)(d + 32);
  }
  put(y, stride, &sum, r, add);
}

#define ROWS(FUNCTION, ...)                                                                                                              \
  switch (r) {                                                                                                                         \
  case 1: FUNCTION(__VA_ARGS__ tile, 1, panel, pieces, y, stride, add); break;                                                         \
  case 2: FUNCTION(__VA_ARGS__ tile, 2, panel, pieces, y, stride, add); break;                                                         \
  case 3: FUNCTION(__VA_ARGS__ tile, 3, panel, pieces, y, stride, add); break;                                                         \
  case 4: FUNCTION(__VA_ARGS__ tile, 4, panel, pieces, y, stride, add); break;                                                         \
  case 5: FUNCTION(__VA_ARGS__ tile, 5, panel, pieces, y, stride, add); break;                                                         \
  case 6: FUNCTION(__VA_ARGS__ tile, 6, panel, pieces, y, stride, add); break;                                                         \
  }
#define COMMA ,
#define KERNEL(NAME, FUNCTION, ...)                                                                                                      \
  AVX2 static void NAME(const char *tile, int r, const char *panel, int64_t pieces, float *y, size_t stride, bool add) {               \
    ROWS(FUNCTION, __VA_ARGS__)                                                                                                        \
  }

KERNEL(multiply_4, multiply_bytes, 8 COMMA)
KERNEL(multiply_5, multiply_bytes, 4 COMMA)
KERNEL(multiply_8, multiply_shorts, )
KERNEL(multiply_2_k, multiply_supers, 16 COMMA 4 COMMA false COMMA)
KERNEL(multiply_3_k, multiply_supers, 16 COMMA 4 COMMA true COMMA)
KERNEL(multiply_4_k, multiply_supers, 8 COMMA 8 COMMA false COMMA)
KERNEL(multiply_5_k, multiply_supers, 8 COMMA 4 COMMA false COMMA)
KERNEL(multiply_6_k, multiply_supers, 16 COMMA 2 COMMA true COMMA)

static void multiply(int type, const char *tile, int r, const char *panel, int64_t pieces, float *y,
                     size_t stride, bool add) {
  switch (type) {
  case qgemm_q4_0:
  case qgemm_q4_1: multiply_4(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q5_0:
  case qgemm_q5_1: multiply_5(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q8_0:
  case qgemm_iq4_nl: multiply_8(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q2_k: multiply_2_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q3_k: multiply_3_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q4_k: multiply_4_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q5_k: multiply_5_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q6_k: multiply_6_k(tile, r, panel, pieces, y, stride, add); break;
  }
}

static bool present(void) { return eyelet_isa_allows(eyelet_isa_avx2); }

static qgemm_shape shape(int type) {
  switch (qgemm_layout_of(type)) {
  case qgemm_shorts: return (qgemm_shape){32, 64 + 4, qgemm_shorts_scales + 64};
  case qgemm_supers16:
    return (qgemm_shape){256, 256 + 32 + 4, qgemm_supers_scales + 16 * 64 + 8 * 64 + 128};
  case qgemm_supers32:
    return (qgemm_shape){256, 256 + 16 + 4, qgemm_supers_scales + 8 * 64 + 4 * 64 + 128};
  default: return (qgemm_shape){32, 32 + 8, qgemm_bytes_offsets + 64};
  }
}

const qgemm_kernels qgemm_avx2 = {"avx2",
                                  present,
                                  most_rows,
                                  shape,
                                  qgemm_avx2_pack_rows,
                                  qgemm_avx2_pack_panel,
                                  qgemm_avx2_pack_interleaved,
                                  multiply,
                                  NULL};
#endif
