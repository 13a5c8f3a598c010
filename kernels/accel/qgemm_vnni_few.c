// Products of few rows for AVX-512 with VNNI, a tile at a time. Vectors have 4 bytes along k of
// each of 16 columns, as panels do. Where weights lie row by row, they get there by a transposition
// of 16 rows of 32 bytes: other units of the processor do that than those that multiply.
#include "qgemm_dots.h"
#include "qgemm_few.h"

#ifdef QGEMM_X86
#include <string.h>

#include "qgemm_vnni.h"

enum { most_rows = 8, few_rows = 32 };

INLINE __m512i and(__m512i v, int bits) {
  return _mm512_and_si512(v, _mm512_set1_epi8((char)bits));
}

// What is fetched.
typedef struct {
  const char *at;
  size_t step;
} ahead;

// To the second cache: as many lines as are on their way at a time did not fit between the first
// and the second (measured on Zen 4: 1.6 times as fast).
INLINE void fetch(ahead *a) {
  __builtin_prefetch(a->at, 0, 2);
  a->at += a->step;
}

// ---- vectors of columns ----

// Of 4 rows a vector, in the lanes: the first lane has row i, or rows i + 4, i + 8, i + 12. Makes
// columns of 4 rows in each lane.
INLINE void transpose4(const __m512i a[4], __m512i v[4]) {
  const __m512i b0 = _mm512_unpacklo_epi32(a[0], a[1]), b1 = _mm512_unpackhi_epi32(a[0], a[1]);
  const __m512i b2 = _mm512_unpacklo_epi32(a[2], a[3]), b3 = _mm512_unpackhi_epi32(a[2], a[3]);
  v[0] = _mm512_unpacklo_epi64(b0, b2);
  v[1] = _mm512_unpackhi_epi64(b0, b2);
  v[2] = _mm512_unpacklo_epi64(b1, b3);
  v[3] = _mm512_unpackhi_epi64(b1, b3);
}

// The 4 numbers of 32 bits of 16 rows at an offset.
INLINE void columns4(const char *const *rows, size_t at, __m512i v[4]) {
  __m512i a[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a[i] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(rows[i] + at)));
    a[i] = _mm512_inserti32x4(a[i], _mm_loadu_si128((const __m128i *)(rows[i + 4] + at)), 1);
    a[i] = _mm512_inserti32x4(a[i], _mm_loadu_si128((const __m128i *)(rows[i + 8] + at)), 2);
    a[i] = _mm512_inserti32x4(a[i], _mm_loadu_si128((const __m128i *)(rows[i + 12] + at)), 3);
  }
  transpose4(a, v);
}

// The 8 numbers of 32 bits of 16 rows at an offset.
INLINE void columns8(const char *const *rows, size_t at, __m512i v[8]) {
  __m512i a[4], x[4], y[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    a[i] = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(rows[i] + at))),
        _mm256_loadu_si256((const __m256i *)(rows[i + 4] + at)), 1);
  transpose4(a, x);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    a[i] = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(rows[i + 8] + at))),
        _mm256_loadu_si256((const __m256i *)(rows[i + 12] + at)), 1);
  transpose4(a, y);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    v[i] = _mm512_shuffle_i32x4(x[i], y[i], 0x88);
    v[i + 4] = _mm512_shuffle_i32x4(x[i], y[i], 0xdd);
  }
}

// Of two groups of 8 interleaved rows, the 8 numbers of 32 bits of each: 4 times 8 bytes of each
// row.
INLINE void columns8_interleaved(const char *const groups[2], size_t at, __m512i v[8]) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m512i a = _mm512_loadu_si512(groups[0] + at + 64 * i),
                  b = _mm512_loadu_si512(groups[1] + at + 64 * i);
    v[2 * i] = _mm512_permutex2var_epi32(a, even, b);
    v[2 * i + 1] = _mm512_permutex2var_epi32(a, odd, b);
  }
}

// The numbers of 16 bits that 16 rows have at an offset, as floats.
INLINE __m512 floats(const char *const *rows, size_t at) {
  uint64_t four[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    uint16_t h[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      memcpy(h + j, rows[4 * i + j] + at, 2);
    four[i] = h[0] | (uint64_t)h[1] << 16 | (uint64_t)h[2] << 32 | (uint64_t)h[3] << 48;
  }
  return _mm512_cvtph_ps(_mm256_setr_epi64x(four[0], four[1], four[2], four[3]));
}

// ---- products ----

// So many steps, from the vectors of columns.
INLINE void multiply_steps(int steps, int r, const char *x, const __m512i *w,
                           __m512i sum[most_rows], ahead *a, int fetches) {
#pragma GCC unroll 8
  for (int s = 0; s < steps; s++) {
#pragma GCC unroll 8
    for (int i = 0; i < r; i++)
      sum[i] = add_bytes(sum[i], w[s], x + 4 * (s * r + i));
    if (s < fetches)
      fetch(a);
  }
}

// Blocks of 32 without offsets: values of 8 bits, or of 4, in the low halves of bytes the first 16
// and in the high ones the others. Sums start from what takes away by how much stored bytes are
// above the values.
INLINE void multiply_32(int bits, const qgemm_weights *w, const char *tile, int tiles, int r,
                        int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  __m512 sum[most_rows];
  begin(sum, y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, tile += 40 * r, at += 2 + 4 * bits) {
    const float *x = (const float *)(tile + 32 * r);
    const __m512 d = floats(w->rows, at);
    __m512i v[8], dot[most_rows];
    if (bits == 8) {
      columns8(w->rows, at + 2, v);
#pragma GCC unroll 8
      for (int s = 0; s < 8; s++)
        v[s] = _mm512_xor_si512(v[s], _mm512_set1_epi8(-128));
    } else {
      columns4(w->rows, at + 2, v);
#pragma GCC unroll 4
      for (int s = 0; s < 4; s++) {
        v[s + 4] = and(_mm512_srli_epi16(v[s], 4), 15);
        v[s] = and(v[s], 15);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < r; i++)
      dot[i] = _mm512_set1_epi32(((const int32_t *)(x + r))[i]);
    multiply_steps(8, r, tile, v, dot, &a, bits == 8 ? 8 : 5);
    if (bits == 8)
      fetch(&a);
    scale(sum, dot, r, d, x);
  }
  put(y, stride, sum, r, false);
}

// The integers of Q4_K for 16 columns: bytes of scales in order of k, pairs of 16 bits of offsets,
// and what both are multiplied with.
typedef struct {
  _Alignas(64) uint8_t scales[8][16];
  __m512i offsets[4];
  __m512 d, e;
} integers_4_k;

// Of the first 4 times 32 weights 6 bits each, of the others 4 bits and, above those of the
// first, 2.
INLINE __m512i low_six(__m512i first) { return and(first, 63); }
INLINE __m512i high_six(__m512i four, __m512i two) {
  return _mm512_or_si512(and(four, 15), and(_mm512_srli_epi32(two, 2), 48));
}

// A byte of 4 for each column.
INLINE __m128i byte_of(__m512i v, int byte) {
  return _mm512_cvtepi32_epi8(_mm512_srli_epi32(v, 8 * byte));
}

INLINE void integers(const char *const *rows, size_t at, integers_4_k *n) {
  __m512i v[4];
  columns4(rows, at, v);
  n->d = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v[0]));
  n->e = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(v[0], 16)));
  const __m512i scales[2] = {low_six(v[1]), high_six(v[3], v[1])};
  const __m512i offsets[2] = {low_six(v[2]), high_six(_mm512_srli_epi32(v[3], 4), v[2])};
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      _mm_store_si128((__m128i *)n->scales[4 * i + j], byte_of(scales[i], j));
    const __m512i bytes = _mm512_set1_epi32(0xff);
    n->offsets[2 * i] = _mm512_or_si512(
        _mm512_and_si512(offsets[i], bytes),
        _mm512_and_si512(_mm512_slli_epi32(offsets[i], 8), _mm512_slli_epi32(bytes, 16)));
    n->offsets[2 * i + 1] = _mm512_or_si512(
        _mm512_and_si512(_mm512_srli_epi32(offsets[i], 16), bytes),
        _mm512_and_si512(_mm512_srli_epi32(offsets[i], 8), _mm512_slli_epi32(bytes, 16)));
  }
}

// Stores 8 times 16 bytes: of each 8 numbers of 4 bytes of a group in turn, those of the first 4
// rows and of the last 4.
INLINE void put_bytes(__m512i first, __m512i last, uint8_t to[8][16]) {
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  const __m512i a =
      _mm512_permutexvar_epi64(order, _mm512_unpacklo_epi32(first, last)); // 0, 1, 4, 5
  const __m512i b =
      _mm512_permutexvar_epi64(order, _mm512_unpackhi_epi32(first, last)); // 2, 3, 6, 7
  _mm512_store_si512(to[0], _mm512_shuffle_i64x2(a, b, 0x44));
  _mm512_store_si512(to[4], _mm512_shuffle_i64x2(a, b, 0xee));
}

// What Q4_K packs for 8 times 32 weights of a row, an interleaved group packs for 8 rows, 8 times.
INLINE void integers_interleaved(const char *const groups[2], size_t at, integers_4_k *n) {
  const __m512i third = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 0, 3, 6, 9, 12, 15, 18, 21),
                one = _mm512_set1_epi32(1);
  __m512i v[3];
  const char *a = groups[0] + at + 32, *b = groups[1] + at + 32;
  const __m512i a0 = _mm512_loadu_si512(a),
                a1 = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(a + 64)));
  const __m512i b0 = _mm512_loadu_si512(b),
                b1 = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(b + 64)));
  __m512i index = third;
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    v[i] = _mm512_mask_blend_epi32(0xff00, _mm512_permutex2var_epi32(a0, index, a1),
                                   _mm512_permutex2var_epi32(b0, index, b1));
    index = _mm512_add_epi32(index, one);
  }
  put_bytes(low_six(v[0]), high_six(v[2], v[0]), n->scales);
  _Alignas(64) uint8_t offsets[8][16];
  put_bytes(low_six(v[1]), high_six(_mm512_srli_epi32(v[2], 4), v[1]), offsets);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m128i even = _mm_load_si128((const __m128i *)offsets[2 * i]),
                  odd = _mm_load_si128((const __m128i *)offsets[2 * i + 1]);
    n->offsets[i] = _mm512_or_si512(_mm512_cvtepu8_epi32(even),
                                    _mm512_slli_epi32(_mm512_cvtepu8_epi32(odd), 16));
  }
#define HALVES(o)                                                             \
  _mm256_setr_m128i(_mm_loadu_si128((const __m128i *)(groups[0] + at + (o))), \
                    _mm_loadu_si128((const __m128i *)(groups[1] + at + (o))))
  n->d = _mm512_cvtph_ps(HALVES(0));
  n->e = _mm512_cvtph_ps(HALVES(16));
#undef HALVES
}

INLINE void multiply_4_k(bool interleaved, const qgemm_weights *w, const char *tile, int tiles,
                         int r, int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  const size_t bytes = interleaved ? 8 * 144 : 144;
  __m512 sum[most_rows];
  begin(sum, y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, tile += (256 + 16 + 4) * r, at += bytes) {
    const float *x = (const float *)(tile + (256 + 16) * r);
    __m512i v[8], total[most_rows], dot[most_rows];
    integers_4_k n;
    (interleaved ? integers_interleaved : integers)(w->rows, at, &n);
    clear(total, r);
#pragma GCC unroll 4
    for (int s = 0; s < 4; s++)
#pragma GCC unroll 8
      for (int i = 0; i < r; i++)
        total[i] = add_pairs(total[i], n.offsets[s], tile + 256 * r + 4 * (s * r + i));
    scale(sum, total, r, _mm512_sub_ps(_mm512_setzero_ps(), n.e), x);
    clear(total, r);
    for (int j = 0; j < 4; j++) {
      if (interleaved)
        columns8_interleaved(w->rows, at + 128 + 256 * j, v);
      else
        columns8(w->rows, at + 16 + 32 * j, v);
#pragma GCC unroll 2
      for (int high = 0; high < 2; high++) {
        __m512i q[8];
#pragma GCC unroll 8
        for (int s = 0; s < 8; s++)
          q[s] = and(high ? _mm512_srli_epi16(v[s], 4) : v[s], 15);
        clear(dot, r);
        multiply_steps(8, r, tile + 32 * (2 * j + high) * r, q, dot, &a, high ? 4 : 5);
        scale_integers(
            total, dot, r,
            _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)n.scales[2 * j + high])));
      }
    }
    scale(sum, total, r, n.d, x);
  }
  put(y, stride, sum, r, false);
}

// Codes of Q6_K are 32 above what they stand for.
INLINE void multiply_6_k(const qgemm_weights *w, const char *tile, int tiles, int r,
                         int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  __m512 sum[most_rows];
  begin(sum, y, stride, r);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, tile += (256 + 32 + 4) * r, at += 210) {
    const float *x = (const float *)(tile + (256 + 32) * r);
    __m512i total[most_rows], dot[most_rows], scales[4], low[8], high[8];
    columns4(w->rows, at + 192, scales);
    clear(total, r);
    // Of each 4 scales, the even ones and the odd ones in 16 bits.
#pragma GCC unroll 4
    for (int s = 0; s < 4; s++) {
      const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(scales[s], 8), 8),
                    odd = _mm512_srai_epi16(scales[s], 8);
      const __m512i first = _mm512_or_si512(_mm512_and_si512(even, _mm512_set1_epi32(0xffff)),
                                            _mm512_slli_epi32(odd, 16));
      const __m512i next = _mm512_or_si512(_mm512_srli_epi32(even, 16),
                                           _mm512_andnot_si512(_mm512_set1_epi32(0xffff), odd));
      const __m512i minus = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int i = 0; i < r; i++) {
        total[i] = add_pairs(total[i], _mm512_sub_epi16(minus, _mm512_slli_epi16(first, 5)),
                             tile + 256 * r + 4 * (2 * s * r + i));
        total[i] = add_pairs(total[i], _mm512_sub_epi16(minus, _mm512_slli_epi16(next, 5)),
                             tile + 256 * r + 4 * ((2 * s + 1) * r + i));
      }
    }
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
      columns8(w->rows, at + 128 + 32 * h, high);
      __asm__ volatile("" : "+m"(high)); // registers are short
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        // The low halves of 32 bytes and of 32 more are parts 0 and 1, the high ones parts 2 and 3.
        const int part = i / 2 + i % 2 * 2;
        if (i % 2 == 0)
          columns8(w->rows, at + 64 * h + 16 * i, low);
        __m512i q[8];
#pragma GCC unroll 8
        for (int s = 0; s < 8; s++) {
          const __m512i four = and(part / 2 ? _mm512_srli_epi16(low[s], 4) : low[s], 15);
          const __m512i two = part < 2 ? _mm512_slli_epi16(high[s], 4 - 2 * part)
                                       : _mm512_srli_epi16(high[s], 2 * part - 4);
          q[s] = _mm512_or_si512(four, and(two, 48));
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) { // which have a scale each
          clear(dot, r);
          multiply_steps(4, r, tile + (32 * (4 * h + part) + 16 * half) * r, q + 4 * half, dot, &a,
                         half ? 3 : 4);
          const int byte = 2 * (part % 2) + half;
          scale_integers(
              total, dot, r,
              _mm512_srai_epi32(_mm512_slli_epi32(scales[2 * h + part / 2], 24 - 8 * byte), 24));
        }
      }
    }
    scale(sum, total, r, floats(w->rows, at + 208), x);
  }
  put(y, stride, sum, r, false);
}

#define TARGET VNNI
#define EACH_ROWS QGEMM_ROWS_8
#define Q4_0 multiply_32, 4
#define Q8_0 multiply_32, 8
#include "qgemm_few_kernels.h"

static int most(int type, bool interleaved) {
  return qgemm_few_takes(type, interleaved) ? few_rows : 0;
}

const qgemm_few qgemm_vnni_few = {most_rows,       1,       most, qgemm_few_slots,
                                  qgemm_dots_pack_rows, multiply};
#endif
