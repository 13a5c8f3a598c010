// Products of few rows for AVX2. The weights of 16 columns are transposed, 32 bytes of each row at
// a time, and the codes are taken out of their bytes as they are multiplied: other units of the
// processor do that than those that multiply.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include "qgemm_avx2_interleaved.h"
#include "qgemm_avx2_steps.h"
#include "qgemm_few.h"

enum { few_rows = 6 };

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
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++) {
    multiply_rows(s ? bytes_next : bytes_first, x + 4 * s * r, r, four_bits(w[s][0], high),
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

INLINE void multiply_4_k(bool interleaved, const qgemm_weights *w, const char *tile, int r,
                         int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  sums sum = {0}, total;
  fetch(y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces;
       p++, tile += (256 + 16 + 4) * r, at += interleaved ? group_bytes : 144) {
    _Alignas(64) char scales[14 * 64]; // as behind the steps of a piece of a panel
    const float *d = (const float *)(scales + 12 * 64), *x = (const float *)(tile + 272 * r);
    __m256i dot[most_rows][2];
    bytes codes;
    for (int half = 0; half < 2; half++)
      if (interleaved)
        put_scales_interleaved(scales + 32 * half, w->rows[half] + at);
      else
        put_scales_k(scales + 32 * half, w->rows + 8 * half, at);
    IN_MEMORY(sum);
    multiply_steps(pairs_first, pairs_next, 4, r, tile + 256 * r, scales + 8 * 64, dot);
    scale(&sum, dot, r, d + 16, x);
    clear(&total, r);
    for (int j = 0; j < 4; j++) {
      if (interleaved)
        take_interleaved(w->rows, at + codes_at + 256 * j, codes);
      else
        take_bytes(w->rows, at + 16 + 32 * j, codes);
      IN_MEMORY(codes);
#pragma GCC unroll 2
      for (int high = 0; high < 2; high++) {
        IN_MEMORY(total);
        multiply_fours(high, tile + 32 * (2 * j + high) * r, r, codes, dot, &a, high ? 4 : 5);
        scale_integers(&total, dot, r, scales + 64 * (2 * j + high));
      }
    }
    IN_MEMORY(total);
    scale(&sum, total.i, r, d, x);
  }
  put(y, stride, &sum, r, false);
}

// The 6 bits of codes of Q6_K: 4 in the low or high halves of bytes, and 2 of the bytes of another
// vector.
INLINE __m256i six_of(__m256i low, __m256i high, int part) {
  const __m256i two =
      part < 2 ? _mm256_slli_epi16(high, 4 - 2 * part) : _mm256_srli_epi16(high, 2 * part - 4);
  return _mm256_or_si256(four_bits(low, part / 2), and(two, 48));
}

// Codes of Q6_K are 32 above what they stand for.
INLINE void multiply_6_k(const qgemm_weights *w, const char *tile, int r, int64_t pieces, float *y,
                         size_t stride) {
  ahead a = {w->next, w->step};
  sums sum = {0}, total;
  fetch(y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, tile += (256 + 32 + 4) * r, at += 210) {
    _Alignas(64) char scales[26 * 64]; // as behind the steps of a piece of a panel
    __m256i dot[most_rows][2];
    bytes low, high;
    for (int half = 0; half < 2; half++) {
      const char *const *eight = w->rows + 8 * half;
      __m256i v[4];
      columns4(eight, at + 192, v);
      put_signed_scales(scales + 32 * half, v, 5, floats(eight, at + 208));
    }
    IN_MEMORY(sum);
    multiply_steps(pairs_first, pairs_next, 8, r, tile + 256 * r, scales + 16 * 64, total.i);
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
        const char *x = tile + 32 * (4 * h + part) * r;
#pragma GCC unroll 4
        for (int s = 0; s < 8; s += 2) {
          IN_MEMORY(total);
#pragma GCC unroll 2
          for (int t = s; t < s + 2; t++)
            multiply_rows(t > s ? bytes_next : bytes_first, x + 4 * t * r, r,
                          six_of(low[t][0], high[t][0], part), six_of(low[t][1], high[t][1], part),
                          dot);
          scale_integers(&total, dot, r, scales + 64 * (2 * (4 * h + part) + s / 4));
          fetch_ahead(&a);
          if (s < 6)
            fetch_ahead(&a);
        }
      }
    }
    IN_MEMORY(total);
    scale(&sum, total.i, r, (const float *)(scales + 24 * 64), (const float *)(tile + 288 * r));
  }
  put(y, stride, &sum, r, false);
}

INLINE void multiply_q4_0(const qgemm_weights *w, const char *tile, int r, int64_t pieces, float *y,
                          size_t stride) {
  ahead a = {w->next, w->step};
  const __m256i ones = _mm256_set1_epi16(1);
  sums sum = {0};
  fetch(y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, tile += 40 * r, at += 18) {
    _Alignas(64) float d[16], e[16]; // e is 8 times d, by which codes are above what they stand for
    const float *x = (const float *)(tile + 32 * r);
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
    IN_MEMORY(sum);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++) {
      multiply_rows(s ? bytes_next : bytes_first, tile + 4 * s * r, r,
                    four_bits(codes[s % 4][0], s / 4), four_bits(codes[s % 4][1], s / 4), dot);
      if (s < 5)
        fetch_ahead(&a);
    }
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      for (int c = 0; c < 2; c++)
        dot[i][c] = _mm256_madd_epi16(dot[i][c], ones);
    scale(&sum, dot, r, d, x);
    offset(&sum, r, e, x + r);
  }
  put(y, stride, &sum, r, false);
}

// Of 4 bytes, the first and the third (0), or the others (1), as 16 bits.
INLINE __m256i shorts_of(__m256i v, int which) {
  return _mm256_srai_epi16(which ? v : _mm256_slli_epi16(v, 8), 8);
}

INLINE void multiply_q8_0(const qgemm_weights *w, const char *tile, int r, int64_t pieces, float *y,
                          size_t stride) {
  ahead a = {w->next, w->step};
  sums sum = {0};
  fetch(y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, tile += 68 * r, at += 34) {
    _Alignas(64) float d[16];
    __m256i dot[most_rows][2];
    bytes values;
    take_bytes(w->rows, at + 2, values);
    for (int half = 0; half < 2; half++)
      _mm256_store_ps(d + 8 * half, floats_before(w->rows + 8 * half, at));
    IN_MEMORY(values);
    IN_MEMORY(sum);
#pragma GCC unroll 16
    for (int s = 0; s < 16; s++) {
      multiply_rows(s ? pairs_next : pairs_first, tile + 4 * s * r, r,
                    shorts_of(values[s / 2][0], s % 2), shorts_of(values[s / 2][1], s % 2), dot);
      if (s < 9)
        fetch_ahead(&a);
    }
    scale(&sum, dot, r, d, (const float *)(tile + 64 * r));
  }
  put(y, stride, &sum, r, false);
}

#define TARGET AVX2
#define EACH_ROWS QGEMM_ROWS_6
#define Q4_0 multiply_q4_0
#define Q8_0 multiply_q8_0
#include "qgemm_few_kernels.h"

const qgemm_few qgemm_avx2_few = {most_rows, few_rows, qgemm_few_takes, qgemm_few_slots, multiply};
#endif
