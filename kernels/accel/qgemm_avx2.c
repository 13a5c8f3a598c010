#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include <string.h>

#include "../../cgo/isa/isa.h"
#include "qgemm_avx2_steps.h"
#include "qgemm_few.h"

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
    const float *x = (const float *)(tile + 32 * r);
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
    offset(&sum, r, offsets, x + r);
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
        scale_integers(&total, dot, r, scales);
      }
    IN_MEMORY(total);
    scale(&sum, total.i, r, d, x);
    panel = (const char *)(d + 32);
  }
  put(y, stride, &sum, r, add);
}

#define KERNEL(...) QGEMM_KERNEL(AVX2, QGEMM_ROWS_6, __VA_ARGS__)
KERNEL(multiply_4, multiply_bytes, 8)
KERNEL(multiply_5, multiply_bytes, 4)
KERNEL(multiply_8, multiply_shorts)
KERNEL(multiply_2_k, multiply_supers, 16, 4, false)
KERNEL(multiply_3_k, multiply_supers, 16, 4, true)
KERNEL(multiply_4_k, multiply_supers, 8, 8, false)
KERNEL(multiply_5_k, multiply_supers, 8, 4, false)
KERNEL(multiply_6_k, multiply_supers, 16, 2, true)

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

const qgemm_kernels qgemm_avx2 = {
    "avx2", present, most_rows, shape, qgemm_avx2_pack_rows, qgemm_avx2_pack_panel,
    qgemm_avx2_pack_interleaved, multiply, &qgemm_avx2_few};
#endif
