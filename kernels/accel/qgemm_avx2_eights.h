// Products of few rows on vectors of AVX2, of types with blocks of 256 weights. A step takes 8
// bytes along k of each of 8 columns, and a vector has those of 4 columns: weights that ggml has
// interleaved are read as they lie, others take half of a transposition. Sums have two numbers for
// each column until a block ends. Tiles are packed by qgemm_avx2_pack_eights.
//
// A file that includes this defines before whether bytes are multiplied and added up in 32 bits by
// AVX-VNNI's instructions, or in 16: enum { by_dots = false }.
#ifndef EYELET_QGEMM_AVX2_EIGHTS_H
#define EYELET_QGEMM_AVX2_EIGHTS_H

#include "qgemm_avx2_few.h"
#include "qgemm_avx2_interleaved.h"
#include "qgemm_dots.h"

// qgemm_few.pack_rows of these instructions, for all types.
static void pack_rows(int type, char *tile, const float *x, size_t stride, int r, int64_t pieces) {
  if (type == qgemm_q4_k || type == qgemm_q6_k)
    qgemm_avx2_pack_eights(type, tile, x, stride, r, pieces);
  else
    (by_dots ? qgemm_dots_pack_rows : qgemm_avx2_pack_rows)(type, tile, x, stride, r, pieces);
}

// What there is for each of 4 columns in one vector, and for the next 4 in another.
typedef __m256i eight_columns[2];

// The columns of 32 bytes that 8 rows have at an offset, in 4 steps.
INLINE void take_eights(const char *const *rows, size_t at, eight_columns to[4]) {
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++)
#pragma GCC unroll 2
    for (int part = 0; part < 2; part++) {
      __m256i two[2];
#pragma GCC unroll 2
      for (int i = 0; i < 2; i++) {
        const char *const *row = rows + 4 * half + i;
        two[i] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(row[0] + at + 16 * part))),
            _mm_loadu_si128((const __m128i *)(row[2] + at + 16 * part)), 1);
      }
      to[2 * part][half] = _mm256_unpacklo_epi64(two[0], two[1]);
      to[2 * part + 1][half] = _mm256_unpackhi_epi64(two[0], two[1]);
    }
}

// A step of the rows of a tile: w has 8 bytes of 8 columns.
INLINE void multiply_eights(bool first, const char *x, int r, __m256i w0, __m256i w1,
                            __m256i sum[most_rows][2]) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
    multiply_row(by_dots ? eight_dots : first ? eights_first : eights_next, x + 8 * i, w0, w1,
                 sum[i]);
}

INLINE void start_eights(__m256i sum[most_rows][2], int r) {
  if (by_dots)
    start(sum, r, NULL);
}

// Adds the sums of some steps, times the scales of columns, which stand in all 16 bits of theirs.
INLINE void scale_eights(sums *total, __m256i dot[most_rows][2], int r,
                         const eight_columns scales) {
  const __m256i s0 = scales[0], s1 = scales[1];
  if (by_dots) {
    const __m256i w0 = _mm256_srai_epi32(s0, 16), w1 = _mm256_srai_epi32(s1, 16);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++) {
      total->i[i][0] = _mm256_add_epi32(total->i[i][0], _mm256_mullo_epi32(dot[i][0], w0));
      total->i[i][1] = _mm256_add_epi32(total->i[i][1], _mm256_mullo_epi32(dot[i][1], w1));
    }
    return;
  }
#pragma GCC unroll 6
  for (int i = 0; i < r; i++) {
    total->i[i][0] = _mm256_add_epi32(total->i[i][0], _mm256_madd_epi16(dot[i][0], s0));
    total->i[i][1] = _mm256_add_epi32(total->i[i][1], _mm256_madd_epi16(dot[i][1], s1));
  }
}

// The sums of 8 columns, of two numbers for each.
INLINE __m256i add_up(const __m256i total[2]) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(total[0], total[1]), 0xd8);
}

// The sums of activations times the offsets of 8 columns, each of which has two in 32 bits: of
// steps pairs. x has as many for each row.
INLINE __m256i multiply_offsets(int steps, int r, const char *x, const __m256i *offsets) {
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int s = 0; s < steps; s++) {
    int32_t two;
    memcpy(&two, x + 4 * s * r, 4);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(offsets[s], _mm256_set1_epi32(two)));
  }
  return sum;
}

// Adds integers of 8 columns, times the factors of columns and of a row.
INLINE __m256 scale_columns(__m256 sum, __m256i dots, __m256 columns, const float *row) {
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots),
                         _mm256_mul_ps(columns, _mm256_broadcast_ss(row)), sum);
}

// ---- scales ----

// Of 4 bytes of each of 8 columns, byte j in all 16 bits of the columns, with its sign or without.
INLINE void spread(const eight_columns v, int j, bool sign, eight_columns to) {
  const __m256i of = _mm256_add_epi8(
      _mm256_broadcastsi128_si256(
          sign ? _mm_setr_epi32(0x00800080, 0x00800080, 0x04800480, 0x04800480)
               : _mm_setr_epi32((int)0x80008000, (int)0x80008000, (int)0x80048004,
                                (int)0x80048004)),
      _mm256_set1_epi16(sign ? j << 8 : j));
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    to[half] = _mm256_shuffle_epi8(v[half], of);
    if (sign)
      to[half] = _mm256_srai_epi16(to[half], 8);
  }
}

// Of 8 columns, the first 4 and the others: each twice.
INLINE void two_by_two(__m256i v, eight_columns to) {
  to[0] = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 1, 0, 1, 2, 3, 2, 3));
  to[1] = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(4, 5, 4, 5, 6, 7, 6, 7));
}

// What there is beside the codes of a block of Q4_K in 8 rows: the scales of 8 times 32 weights,
// the offsets of two 32s each, and what both are multiplied by, of the latter with the other sign.
typedef struct {
  eight_columns scales[8];
  __m256i offsets[4];
  __m256 d, e;
} k_scales;

INLINE void take_scales_k(k_scales *to, const char *const *rows, size_t at) {
  __m256i v[4];
  columns4(rows, at, v);
  const six_bits n = take_six(v[1], v[2], v[3]);
#pragma GCC unroll 2
  for (int four = 0; four < 2; four++) {
    eight_columns twice;
    two_by_two(n.scales[four], twice);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      spread(twice, j, false, to->scales[4 * four + j]);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
      to->offsets[2 * four + j] = both(n.offsets[four], 2 * j);
  }
  take_d_and_e(v[0], &to->d, &to->e);
}

INLINE void take_scales_interleaved(k_scales *to, const char *from) {
  _Alignas(32) int32_t scales[2][8];
  _Alignas(32) uint8_t offsets[8][8];
  const six_bits n = take_six_interleaved(from);
  const __m256i of = _mm256_setr_epi32((int)0x80008000, (int)0x80008000, (int)0x80018001,
                                       (int)0x80018001, (int)0x80028002, (int)0x80028002,
                                       (int)0x80038003, (int)0x80038003);
  store(scales[0], n.scales[0]);
  store(scales[1], n.scales[1]);
  put_eights(offsets, n.offsets);
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++)
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++)
      to->scales[s][half] = _mm256_shuffle_epi8(_mm256_set1_epi32(scales[half][s]), of);
#pragma GCC unroll 4
  for (int s = 0; s < 4; s++)
    to->offsets[s] = two_integers(offsets[2 * s], offsets[2 * s + 1]);
  take_d_and_e_interleaved(from, &to->d, &to->e);
}

// ---- products ----

// Half of the columns of a piece of Q4_K: at is where it begins in the rows, or in a group.
INLINE void multiply_half_4_k(bool interleaved, const char *const *rows, size_t at, int half,
                              const tile_group *g, int r, sums *sum, ahead *a) {
  k_scales k;
  sums total[few_tiles];
  if (interleaved)
    take_scales_interleaved(&k, rows[0] + at);
  else
    take_scales_k(&k, rows, at);
  for (int t = 0; t < g->count; t++) {
    const char *x = tile_of(g, t);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      sum[t].f[i][half] = scale_columns(sum[t].f[i][half],
                                        multiply_offsets(4, r, x + 256 * r + 4 * i, k.offsets),
                                        k.e, (const float *)(x + 272 * r) + i);
    clear(&total[t], r);
  }
  IN_MEMORY(k);
  for (int j = 0; j < 4; j++) {
    eight_columns taken[4];
    const char *codes = interleaved ? rows[0] + at + codes_at + 256 * j : (const char *)taken;
    if (!interleaved)
      take_eights(rows, at + 16 + 32 * j, taken);
    IN_MEMORY(taken);
#pragma GCC unroll 2
    for (int high = 0; high < 2; high++)
      for (int t = 0; t < g->count; t++) {
        const char *x = tile_of(g, t) + 32 * (2 * j + high) * r;
        __m256i dot[most_rows][2];
        IN_MEMORY(total[t]);
        start_eights(dot, r);
#pragma GCC unroll 4
        for (int s = 0; s < 4; s++) {
          multiply_eights(s == 0, x + 8 * s * r, r, four_bits(load(codes + 64 * s), high),
                          four_bits(load(codes + 64 * s + 32), high), dot);
          if (s < 2 || (s == 2 && half == 0 && high == 0))
            fetch_ahead(a);
        }
        scale_eights(&total[t], dot, r, k.scales[2 * j + high]);
      }
  }
  for (int t = 0; t < g->count; t++) {
    IN_MEMORY(total[t]);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      sum[t].f[i][half] =
          scale_columns(sum[t].f[i][half], add_up(total[t].i[i]), k.d,
                        (const float *)(tile_of(g, t) + 272 * r) + i);
  }
}

INLINE void multiply_4_k(bool interleaved, const qgemm_weights *w, const char *tile, int tiles,
                         int r, int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  sums sum[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 256 + 16 + 4);
  begin_tiles(&g, sum, r, y, stride);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++) {
    multiply_half_4_k(interleaved, w->rows, at, 0, &g, r, sum, &a);
    multiply_half_4_k(interleaved, w->rows + (interleaved ? 1 : 8), at, 1, &g, r, sum, &a);
    g.at += (256 + 16 + 4) * r;
    at += interleaved ? group_bytes : 144;
  }
  put_tiles(&g, sum, r, y, stride);
}

// The 6 bits of codes of Q6_K: 4 in the low or high halves of bytes, and 2 of the bytes of another
// vector.
INLINE __m256i six_of(__m256i low, __m256i high, int part) {
  const __m256i two =
      part < 2 ? _mm256_slli_epi16(high, 4 - 2 * part) : _mm256_srli_epi16(high, 2 * part - 4);
  return _mm256_or_si256(four_bits(low, part / 2), and(two, 48));
}

// Half of the columns of a piece of Q6_K. Codes are 32 above what they stand for: offsets are as
// many times the scales, with the other sign. A scale is for 2 steps, as many as 16 bits hold.
INLINE void multiply_half_6_k(const char *const *rows, size_t at, int half, const tile_group *g,
                              int r, sums *sum, ahead *a) {
  eight_columns scales[16];
  __m256i offsets[8], v[4];
  sums total[few_tiles];
  const __m256 d = floats(rows, at + 208);
  columns4(rows, at + 192, v);
#pragma GCC unroll 4
  for (int four = 0; four < 4; four++) {
    eight_columns twice;
    two_by_two(v[four], twice);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      spread(twice, j, true, scales[4 * four + j]);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
      offsets[2 * four + j] = minus_signed(v[four], 2 * j, 5);
  }
  for (int t = 0; t < g->count; t++)
    clear(&total[t], r);
  IN_MEMORY(scales);
  for (int h = 0; h < 2; h++) {
    eight_columns low[4], high[4];
    take_eights(rows, at + 128 + 32 * h, high);
    IN_MEMORY(high);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      // The low halves of 32 bytes and of 32 more are parts 0 and 1, the high ones parts 2 and 3.
      const int part = i / 2 + i % 2 * 2;
      if (i % 2 == 0) {
        take_eights(rows, at + 64 * h + 16 * i, low);
        IN_MEMORY(low);
      }
      for (int t = 0; t < g->count; t++) {
        const char *x = tile_of(g, t) + 32 * (4 * h + part) * r;
#pragma GCC unroll 2
        for (int s = 0; s < 4; s += 2) {
          __m256i dot[most_rows][2];
          IN_MEMORY(total[t]);
          start_eights(dot, r);
#pragma GCC unroll 2
          for (int u = s; u < s + 2; u++) {
            multiply_eights(u == s, x + 8 * u * r, r, six_of(low[u][0], high[u][0], part),
                            six_of(low[u][1], high[u][1], part), dot);
            if (u < 3 || half == 0)
              fetch_ahead(a);
          }
          scale_eights(&total[t], dot, r, scales[2 * (4 * h + part) + s / 2]);
        }
      }
    }
  }
  for (int t = 0; t < g->count; t++) {
    const char *x = tile_of(g, t);
    IN_MEMORY(total[t]);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++) {
      const __m256i all = _mm256_add_epi32(
          add_up(total[t].i[i]), multiply_offsets(8, r, x + 256 * r + 4 * i, offsets));
      sum[t].f[i][half] =
          scale_columns(sum[t].f[i][half], all, d, (const float *)(x + 288 * r) + i);
    }
  }
}

INLINE void multiply_6_k(const qgemm_weights *w, const char *tile, int tiles, int r,
                         int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  sums sum[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 256 + 32 + 4);
  begin_tiles(&g, sum, r, y, stride);
  for (int64_t p = 0; p < pieces; p++, g.at += (256 + 32 + 4) * r) {
    multiply_half_6_k(w->rows, 210 * p, 0, &g, r, sum, &a);
    multiply_half_6_k(w->rows + 8, 210 * p, 1, &g, r, sum, &a);
  }
  put_tiles(&g, sum, r, y, stride);
}

#endif
