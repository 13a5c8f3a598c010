// What products of few rows on vectors of AVX2 are made of. The weights of 16 columns are
// transposed, 32 bytes of each row at a time, and the codes are taken out of their bytes as they
// are multiplied: other units of the processor do that than those that multiply. Tiles of as many
// rows each share the transposed weights.
#ifndef EYELET_QGEMM_AVX2_FEW_H
#define EYELET_QGEMM_AVX2_FEW_H

#include "qgemm_avx2_steps.h"
#include "qgemm_few.h"

enum { few_tiles = 4 };

// What is fetched, to the second cache: what many matrices have in 16 columns does not fit into the
// first (measured on Zen 4: with Q8_0 1.6 times as fast).
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

INLINE __m256i four_bits(__m256i v, bool high) {
  return and(high ? _mm256_srli_epi16(v, 4) : v, 15);
}

INLINE void multiply_rows(kind k, const char *x, int r, __m256i w0, __m256i w1,
                          __m256i sum[most_rows][2]) {
#pragma GCC unroll 6
  for (int i = 0; i < r; i++)
    multiply_row(k, x + 4 * i, w0, w1, sum[i]);
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

#endif
