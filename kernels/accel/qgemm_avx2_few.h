// Products of few rows on vectors of AVX2. The weights of 16 columns are transposed, 32 bytes of
// each row at a time, and the codes are taken out of their bytes as they are multiplied: other
// units of the processor do that than those that multiply. Tiles of as many rows each share the
// transposed weights.
//
// A file that includes this defines before whether bytes are multiplied and added up in 32 bits by
// AVX-VNNI's instructions, or in 16: enum { by_dots = false }.
#ifndef EYELET_QGEMM_AVX2_FEW_H
#define EYELET_QGEMM_AVX2_FEW_H

#include "qgemm_avx2_interleaved.h"
#include "qgemm_avx2_steps.h"
#include "qgemm_few.h"

enum { few_tiles = 4 };

// What a step of bytes is.
INLINE kind bytes_kind(bool first) {
  return by_dots ? dots : first ? bytes_first : bytes_next;
}

// Begins sums of bytes at zero. The first step of others sets them.
INLINE void start_bytes(__m256i sum[most_rows][2], int r) {
  if (by_dots)
    start(sum, r, NULL);
}

// Sums of pairs of 16 bits along so many steps.
INLINE void multiply_pairs(int steps, int r, const char *x, const char *w,
                           __m256i sum[most_rows][2]) {
  if (by_dots)
    start(sum, r, NULL);
  multiply_steps(by_dots ? pair_dots : pairs_first, by_dots ? pair_dots : pairs_next, steps, r, x,
                 w, sum);
}

// Adds sums of bytes, times integers of the columns, which stand twice.
INLINE void scale_bytes(sums *total, __m256i dot[most_rows][2], int r, const char *columns) {
  (by_dots ? scale_dots : scale_integers)(total, dot, r, columns);
}

// What is fetched.
typedef struct {
  const char *at;
  size_t step;
} ahead;

INLINE void fetch_ahead(ahead *a) {
  __builtin_prefetch(a->at, 0, 2);
  a->at += a->step;
}

// Vectors of columns, of each step two.
typedef __m256i bytes[8][2];

// The columns of 32 bytes that 16 rows have at an offset.
INLINE void take_bytes(const char *const *rows, size_t at, bytes to) {
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    __m256i v[8];
    columns8(rows + 8 * half, at, v);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++)
      to[s][half] = v[s];
  }
}

// Those of 4 times 8 bytes of each row of two interleaved groups.
INLINE void take_interleaved(const char *const groups[2], size_t at, bytes to) {
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++)
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
      two_steps(groups[half] + at + 64 * i, &to[2 * i][half], &to[2 * i + 1][half]);
}

INLINE __m256i four_bits(__m256i v, bool high) {
  return and(high ? _mm256_srli_epi16(v, 4) : v, 15);
}

INLINE void multiply_rows(kind k, const char *x, int r, __m256i w0, __m256i w1,
                          __m256i sum[most_rows][2]) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
    multiply_row(k, x + 4 * i, w0, w1, sum[i]);
}

// 8 steps of the low or the high halves of bytes.
INLINE void multiply_fours(bool high, const char *x, int r, bytes w, __m256i sum[most_rows][2],
                           ahead *a, int fetches) {
  start_bytes(sum, r);
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++) {
    multiply_rows(bytes_kind(s == 0), x + 4 * s * r, r, four_bits(w[s][0], high),
                  four_bits(w[s][1], high), sum);
    if (s < fetches)
      fetch_ahead(a);
  }
}

INLINE void clear(sums *s, int r) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
    s->i[i][0] = s->i[i][1] = _mm256_setzero_si256();
}

// Of a number of tiles that lie one behind the other.
typedef struct {
  const char *at; // a piece of the first tile
  size_t next;    // bytes from tile to tile
  int count;
} tile_group;

INLINE tile_group group_of(const char *tile, int tiles, int r, int64_t pieces, int row_bytes) {
  return (tile_group){tile, (size_t)pieces * r * row_bytes, tiles};
}

INLINE const char *tile_of(const tile_group *g, int t) { return g->at + t * g->next; }

INLINE void begin_tiles(const tile_group *g, sums *sum, int r, const float *y, size_t stride) {
  for (int t = 0; t < g->count; t++) {
    clear(&sum[t], r);
    fetch(y + t * r * stride, stride, r);
  }
}

INLINE void put_tiles(const tile_group *g, const sums *sum, int r, float *y, size_t stride) {
  for (int t = 0; t < g->count; t++)
    put(y + t * r * stride, stride, &sum[t], r, false);
}

INLINE void multiply_4_k(bool interleaved, const qgemm_weights *w, const char *tile, int tiles,
                         int r, int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  sums sum[few_tiles], total[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 256 + 16 + 4);
  begin_tiles(&g, sum, r, y, stride);
  size_t at = 0;
  for (int64_t p = 0; p < pieces;
       p++, g.at += (256 + 16 + 4) * r, at += interleaved ? group_bytes : 144) {
    _Alignas(64) char scales[14 * 64]; // as behind the steps of a piece of a panel
    const float *d = (const float *)(scales + 12 * 64);
    __m256i dot[most_rows][2];
    bytes codes;
    for (int half = 0; half < 2; half++)
      if (interleaved)
        put_scales_interleaved(scales + 32 * half, w->rows[half] + at);
      else
        put_scales_k(scales + 32 * half, w->rows + 8 * half, at);
    for (int t = 0; t < tiles; t++) {
      const char *x = tile_of(&g, t);
      IN_MEMORY(sum[t]);
      multiply_pairs(4, r, x + 256 * r, scales + 8 * 64, dot);
      scale(&sum[t], dot, r, d + 16, (const float *)(x + 272 * r));
      clear(&total[t], r);
    }
    for (int j = 0; j < 4; j++) {
      if (interleaved)
        take_interleaved(w->rows, at + codes_at + 256 * j, codes);
      else
        take_bytes(w->rows, at + 16 + 32 * j, codes);
      IN_MEMORY(codes);
#pragma GCC unroll 2
      for (int high = 0; high < 2; high++)
        for (int t = 0; t < tiles; t++) {
          IN_MEMORY(total[t]);
          multiply_fours(high, tile_of(&g, t) + 32 * (2 * j + high) * r, r, codes, dot, &a,
                         high ? 4 : 5);
          scale_bytes(&total[t], dot, r, scales + 64 * (2 * j + high));
        }
    }
    for (int t = 0; t < tiles; t++) {
      IN_MEMORY(total[t]);
      scale(&sum[t], total[t].i, r, d, (const float *)(tile_of(&g, t) + 272 * r));
    }
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

// Codes of Q6_K are 32 above what they stand for. A scale is for 4 steps, of which 16 bits hold the
// sum of 2.
INLINE void multiply_6_k(const qgemm_weights *w, const char *tile, int tiles, int r,
                         int64_t pieces, float *y, size_t stride) {
  const int together = by_dots ? 4 : 2;
  ahead a = {w->next, w->step};
  sums sum[few_tiles], total[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 256 + 32 + 4);
  begin_tiles(&g, sum, r, y, stride);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, g.at += (256 + 32 + 4) * r, at += 210) {
    _Alignas(64) char scales[26 * 64]; // as behind the steps of a piece of a panel
    __m256i dot[most_rows][2];
    bytes low, high;
    for (int half = 0; half < 2; half++) {
      const char *const *eight = w->rows + 8 * half;
      __m256i v[4];
      columns4(eight, at + 192, v);
      put_signed_scales(scales + 32 * half, v, 5, floats(eight, at + 208));
    }
    for (int t = 0; t < tiles; t++) {
      IN_MEMORY(total[t]);
      multiply_pairs(8, r, tile_of(&g, t) + 256 * r, scales + 16 * 64, total[t].i);
    }
    for (int h = 0; h < 2; h++) {
      take_bytes(w->rows, at + 128 + 32 * h, high);
      IN_MEMORY(high);
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        // The low halves of 32 bytes and of 32 more are parts 0 and 1, the high ones parts 2 and 3.
        const int part = i / 2 + i % 2 * 2;
        if (i % 2 == 0) {
          take_bytes(w->rows, at + 64 * h + 16 * i, low);
          IN_MEMORY(low);
        }
        for (int t = 0; t < tiles; t++) {
          const char *x = tile_of(&g, t) + 32 * (4 * h + part) * r;
#pragma GCC unroll 4
          for (int s = 0; s < 8; s += together) {
            IN_MEMORY(total[t]);
            start_bytes(dot, r);
#pragma GCC unroll 4
            for (int u = s; u < s + together; u++) {
              multiply_rows(bytes_kind(u == s), x + 4 * u * r, r,
                            six_of(low[u][0], high[u][0], part),
                            six_of(low[u][1], high[u][1], part), dot);
              if (u < 7)
                fetch_ahead(&a);
            }
            scale_bytes(&total[t], dot, r, scales + 64 * (2 * (4 * h + part) + s / 4));
          }
        }
      }
    }
    for (int t = 0; t < tiles; t++) {
      IN_MEMORY(total[t]);
      scale(&sum[t], total[t].i, r, (const float *)(scales + 24 * 64),
            (const float *)(tile_of(&g, t) + 288 * r));
    }
  }
  put_tiles(&g, sum, r, y, stride);
}

#endif
