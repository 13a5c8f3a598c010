// Weights that ggml's CPU backend has repacked for itself while loading, for AVX2: groups of 8
// rows, whose blocks of Q4_K lie mixed. Of the blocks of 256 weights at the same place in 8 rows,
// such a group has
//
//	8 scales and 8 offsets of 16 bits
//	for each 32 weights, 12 bytes: the integer scales and offsets of 8 rows, as Q4_K has those
//	of 8
//	times 32 weights of one row
//	1024 bytes of codes: 8 of each row in turn
//
// Whether a library of ggml does that is found out by repack.cc.
#ifndef EYELET_QGEMM_AVX2_INTERLEAVED_H
#define EYELET_QGEMM_AVX2_INTERLEAVED_H

#include "qgemm_avx2_columns.h"

enum { integers_at = 32, codes_at = 32 + 96, group_bytes = 32 + 96 + 1024 };

// The 8 columns of a step, and of the next, from 8 bytes of each row.
INLINE void two_steps(const char *p, __m256i *first, __m256i *second) {
  const __m256 a = _mm256_castsi256_ps(load(p)), b = _mm256_castsi256_ps(load(p + 32));
  *first = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), 0xd8);
  *second = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8);
}

// The numbers of 32 bits at places i, i + 3, i + 6 … of 24, in order.
INLINE __m256i third(const __m256i v[3], int i) {
  const __m256i a = v[0], b = v[1], c = v[2];
  const __m256i mixed = i == 0   ? _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x92), c, 0x24)
                        : i == 1 ? _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x24), c, 0x49)
                                 : _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x49), c, 0x92);
  const __m256i order = _mm256_setr_epi32(i, (i + 3) % 8, (i + 6) % 8, (i + 9) % 8, (i + 12) % 8,
                                          (i + 15) % 8, (i + 18) % 8, (i + 21) % 8);
  return _mm256_permutevar8x32_epi32(mixed, order);
}

// Of 8 times 32 weights, puts the bytes of 8 rows: those of the first four stand in halves[0], of
// the last four in halves[1].
INLINE void put_eights(uint8_t to[8][8], const __m256i halves[2]) {
  const __m256i a = _mm256_unpacklo_epi32(halves[0], halves[1]),
                b = _mm256_unpackhi_epi32(halves[0], halves[1]);
  store(to, _mm256_permute2x128_si256(a, b, 0x20));
  store(to[4], _mm256_permute2x128_si256(a, b, 0x31));
}

INLINE __m256i bytes_as_integers(const uint8_t *p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

// The scales and offsets of 8 rows: of 8 times 32 weights, those of the first 4 rows and of the
// others.
INLINE six_bits take_six_interleaved(const char *from) {
  __m256i v[3];
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++)
    v[i] = load(from + integers_at + 32 * i);
  return take_six(third(v, 0), third(v, 1), third(v, 2));
}

// Of 8 rows, a byte of each and above it another one, as 16 bits.
INLINE __m256i two_integers(const uint8_t *low, const uint8_t *high) {
  return _mm256_or_si256(bytes_as_integers(low), _mm256_slli_epi32(bytes_as_integers(high), 16));
}

// What both are multiplied by (take_d_and_e).
INLINE void take_d_and_e_interleaved(const char *from, __m256 *d, __m256 *e) {
  *d = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
  *e = minus(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + 16))));
}

// Puts what comes behind the steps of a piece of a panel (qgemm_supers32) for one group.
INLINE void put_scales_interleaved(char *to, const char *from) {
  _Alignas(32) uint8_t scales[8][8], offsets[8][8];
  const six_bits n = take_six_interleaved(from);
  put_eights(scales, n.scales);
  put_eights(offsets, n.offsets);
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++)
    store(to + 64 * s, two_integers(scales[s], scales[s]));
#pragma GCC unroll 4
  for (int s = 0; s < 4; s++)
    store(to + 64 * (8 + s), two_integers(offsets[2 * s], offsets[2 * s + 1]));
  __m256 d, e;
  take_d_and_e_interleaved(from, &d, &e);
  put_d_and_e(to + 12 * 64, d, e);
}

#endif
