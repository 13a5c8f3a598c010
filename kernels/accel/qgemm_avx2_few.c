// Products of few rows for AVX2.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
enum { by_dots = false };
#include "qgemm_avx2_eights.h"

INLINE void multiply_q4_0(const qgemm_weights *w, const char *tile, int tiles, int r,
                          int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  const __m256i ones = _mm256_set1_epi16(1);
  sums sum[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 32 + 4 + 4);
  begin_tiles(&g, sum, r, y, stride);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, g.at += 40 * r, at += 18) {
    _Alignas(64) float d[16], e[16]; // e is 8 times d, by which codes are above what they stand for
    __m256i dot[most_rows][2], codes[4][2];
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      __m256i v[4];
      columns4(w->rows + 8 * half, at + 2, v);
#pragma GCC unroll 4
      for (int s = 0; s < 4; s++)
        codes[s][half] = v[s];
      const __m256 of = floats_before(w->rows + 8 * half, at);
      _mm256_store_ps(d + 8 * half, of);
      _mm256_store_ps(e + 8 * half, _mm256_mul_ps(of, _mm256_set1_ps(8)));
    }
    IN_MEMORY(codes);
    for (int t = 0; t < tiles; t++) {
      const char *at_tile = tile_of(&g, t);
      const float *x = (const float *)(at_tile + 32 * r);
      IN_MEMORY(sum[t]);
#pragma GCC unroll 8
      for (int s = 0; s < 8; s++) {
        multiply_rows(s ? bytes_next : bytes_first, at_tile + 4 * s * r, r,
                      four_bits(codes[s % 4][0], s / 4), four_bits(codes[s % 4][1], s / 4), dot);
        if (s < 5)
          fetch_ahead(&a);
      }
#pragma GCC unroll 6
      for (int i = 0; i < r; i++)
        for (int c = 0; c < 2; c++)
          dot[i][c] = _mm256_madd_epi16(dot[i][c], ones);
      scale(&sum[t], dot, r, d, x);
      offset(&sum[t], r, e, x + r);
    }
  }
  put_tiles(&g, sum, r, y, stride);
}

// Of 4 bytes, the first and the third (0), or the others (1), as 16 bits.
INLINE __m256i shorts_of(__m256i v, int which) {
  return _mm256_srai_epi16(which ? v : _mm256_slli_epi16(v, 8), 8);
}

INLINE void multiply_q8_0(const qgemm_weights *w, const char *tile, int tiles, int r,
                          int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  sums sum[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 64 + 4);
  begin_tiles(&g, sum, r, y, stride);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, g.at += 68 * r, at += 34) {
    _Alignas(64) float d[16];
    __m256i dot[most_rows][2];
    bytes values;
    take_bytes(w->rows, at + 2, values);
    for (int half = 0; half < 2; half++)
      _mm256_store_ps(d + 8 * half, floats_before(w->rows + 8 * half, at));
    IN_MEMORY(values);
    for (int t = 0; t < tiles; t++) {
      const char *x = tile_of(&g, t);
      IN_MEMORY(sum[t]);
#pragma GCC unroll 16
      for (int s = 0; s < 16; s++) {
        multiply_rows(s ? pairs_next : pairs_first, x + 4 * s * r, r,
                      shorts_of(values[s / 2][0], s % 2), shorts_of(values[s / 2][1], s % 2), dot);
        if (s < 9)
          fetch_ahead(&a);
      }
      scale(&sum[t], dot, r, d, (const float *)(x + 64 * r));
    }
  }
  put_tiles(&g, sum, r, y, stride);
}

#define TARGET AVX2
#define EACH_ROWS QGEMM_ROWS_6
#define Q4_0 multiply_q4_0
#define Q8_0 multiply_q8_0
#include "qgemm_few_kernels.h"

// Measured (BenchmarkIntegerProduct): with more rows, panels take as long or less. Codes of Q6_K
// and Q8_0 take the most instructions to unpack, which each tile repeats.
static int most(int type, bool interleaved) {
  switch (qgemm_few_takes(type, interleaved) ? type : -1) {
  case qgemm_q4_0:
  case qgemm_q4_k: return 16;
  case qgemm_q8_0: return 8;
  case qgemm_q6_k: return 6;
  default: return 0;
  }
}

const qgemm_few qgemm_avx2_few = {most_rows, few_tiles, most,
                                  qgemm_few_slots, pack_rows, multiply};
#endif
