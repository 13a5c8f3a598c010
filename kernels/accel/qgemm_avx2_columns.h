// Weights of 8 rows as vectors of columns, for AVX2: panels (qgemm_avx2_panels.c) and products of
// few rows (qgemm_avx2_few.c) are made of them.
#ifndef EYELET_QGEMM_AVX2_COLUMNS_H
#define EYELET_QGEMM_AVX2_COLUMNS_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "qgemm_avx2.h"

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void store(void *p, __m256i v) { _mm256_store_si256((__m256i *)p, v); }
INLINE __m256i and(__m256i v, int mask) { return _mm256_and_si256(v, _mm256_set1_epi8(mask)); }

// ---- transposition ----

// The columns of 8 rows of 4 numbers.
INLINE void columns4(const char *const *rows, size_t offset, __m256i v[4]) {
  __m256i a[4], b[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m128i low = _mm_loadu_si128((const __m128i *)(rows[i] + offset)),
                  high = _mm_loadu_si128((const __m128i *)(rows[i + 4] + offset));
    a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  for (int i = 0; i < 4; i += 2) {
    b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
  }
  v[0] = _mm256_unpacklo_epi64(b[0], b[2]);
  v[1] = _mm256_unpackhi_epi64(b[0], b[2]);
  v[2] = _mm256_unpacklo_epi64(b[1], b[3]);
  v[3] = _mm256_unpackhi_epi64(b[1], b[3]);
}

// The columns of 8 rows of 8 numbers of 32 bits, which the rows have at an offset. Halves of rows
// come together as they are loaded: to exchange halves of vectors later takes a unit that the
// products are short of.
INLINE void columns8(const char *const *rows, size_t offset, __m256i v[8]) {
  columns4(rows, offset, v);
  columns4(rows, offset + 16, v + 4);
}

// The numbers of 16 bits that 8 rows have at an offset, as floats.
INLINE __m256 floats(const char *const *rows, size_t offset) {
  uint64_t four[2];
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    uint16_t h[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      memcpy(h + j, rows[4 * i + j] + offset, 2);
    four[i] = h[0] | (uint64_t)h[1] << 16 | (uint64_t)h[2] << 32 | (uint64_t)h[3] << 48;
  }
  return _mm256_cvtph_ps(_mm_set_epi64x(four[1], four[0]));
}

// The same where more bytes of each row follow.
INLINE __m256 floats_before(const char *const *rows, size_t offset) {
  __m128i h[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    int32_t both;
    memcpy(&both, rows[i] + offset, 4);
    h[i] = _mm_cvtsi32_si128(both);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    h[i] = _mm_unpacklo_epi16(h[2 * i], h[2 * i + 1]);
  return _mm256_cvtph_ps(_mm_unpacklo_epi64(_mm_unpacklo_epi32(h[0], h[1]),
                                            _mm_unpacklo_epi32(h[2], h[3])));
}

// ---- integer scales ----

// Of 4 bytes of each column, byte j as 16 bits, twice.
INLINE __m256i twice(__m256i v, int j) {
  const __m256i of = _mm256_add_epi8(
      _mm256_broadcastsi128_si256(_mm_setr_epi32((int)0x80008000, (int)0x80048004, (int)0x80088008,
                                                 (int)0x800c800c)),
      _mm256_set1_epi8(j));
  return _mm256_shuffle_epi8(v, of);
}

// Of 4 bytes of each column, bytes j and j + 1 as 16 bits.
INLINE __m256i both(__m256i v, int j) {
  const __m256i of = _mm256_add_epi8(
      _mm256_broadcastsi128_si256(_mm_setr_epi32((int)0x80018000, (int)0x80058004, (int)0x80098008,
                                                 (int)0x800d800c)),
      _mm256_set1_epi8(j));
  return _mm256_shuffle_epi8(v, of);
}

// Scales and offsets of 6 bits of 8 columns: of the first four 32s of weights each has its byte, of
// the last four 4 bits and, above the first four, 2.
typedef struct {
  __m256i scales[2], offsets[2];
} six_bits;

INLINE six_bits take_six(__m256i first, __m256i second, __m256i rest) {
  return (six_bits){
      {and(first, 63),
       _mm256_or_si256(and(rest, 15), and(_mm256_srli_epi32(first, 2), 48))},
      {and(second, 63), _mm256_or_si256(and(_mm256_srli_epi32(rest, 4), 15),
                                        and(_mm256_srli_epi32(second, 2), 48))}};
}

INLINE __m256 minus(__m256 v) { return _mm256_sub_ps(_mm256_setzero_ps(), v); }

// What scales and offsets are multiplied by, of the latter with the other sign.
INLINE void put_d_and_e(char *to, __m256 d, __m256 e) {
  _mm256_store_ps((float *)to, d);
  _mm256_store_ps((float *)(to + 64), e);
}

// Both stand as two numbers of 16 bits in the first 4 bytes of each of 8 columns.
INLINE void take_d_and_e(__m256i v, __m256 *d, __m256 *e) {
  const __m256i halves = _mm256_permute4x64_epi64(
      _mm256_packus_epi32(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(v, 16)),
      0xd8);
  *d = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
  *e = minus(_mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)));
}

// Puts what comes behind the steps of a piece of a panel (qgemm_supers32) for 8 rows of Q4_K or
// Q5_K.
INLINE void put_scales_k(char *to, const char *const *rows, size_t at) {
  __m256i v[4];
  columns4(rows, at, v);
  const six_bits n = take_six(v[1], v[2], v[3]);
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++)
    store(to + 64 * s, twice(n.scales[s / 4], s % 4));
#pragma GCC unroll 4
  for (int s = 0; s < 4; s++)
    store(to + 64 * (8 + s), both(n.offsets[s / 2], s % 2 * 2));
  __m256 d, e;
  take_d_and_e(v[0], &d, &e);
  put_d_and_e(to + 12 * 64, d, e);
}

// Of 4 bytes of each column, bytes j and j + 1 with their signs, shifted up and negated, as 16
// bits.
INLINE __m256i minus_signed(__m256i v, int j, int shift) {
  return _mm256_sub_epi16(
      _mm256_setzero_si256(),
      _mm256_srai_epi16(_mm256_slli_epi16(both(v, j), 8), 8 - shift));
}

// The same (qgemm_supers16) for 8 rows whose 16 scales of 8 bits with sign stand in columns, and
// whose codes are 2^shift above what they stand for.
INLINE void put_signed_scales(char *to, const __m256i scales[4], int shift, __m256 d) {
#pragma GCC unroll 16
  for (int s = 0; s < 16; s++)
    store(to + 64 * s,
          _mm256_srai_epi16(_mm256_slli_epi16(twice(scales[s / 4], s % 4), 8), 8));
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++)
    store(to + 64 * (16 + s), minus_signed(scales[s / 2], s % 2 * 2, shift));
  put_d_and_e(to + 24 * 64, d, _mm256_setzero_ps());
}

#endif
