// Panels from weights that ggml's CPU backend has repacked for itself while loading: groups of 8
// rows, whose blocks of Q4_K lie mixed. Of the blocks of 256 weights at the same place in 8 rows,
// such a group has
//
//	8 scales and 8 offsets of 16 bits
//	for each 32 weights, 12 bytes: the integer scales and offsets of 8 rows, as Q4_K has
//	those of 8 times 32 weights of one row
//	1024 bytes of codes: 8 of each row in turn
//
// Whether a library of ggml does that is found out by repack.cc.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

enum { integers_at = 32, codes_at = 32 + 96, group_bytes = 32 + 96 + 1024 };

INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void store(void *p, __m256i v) { _mm256_store_si256((__m256i *)p, v); }

// The 8 columns of a step, and of the next, from 8 bytes of each row.
INLINE void two_steps(const char *p, __m256i *first, __m256i *second) {
  const __m256 a = _mm256_castsi256_ps(load(p)), b = _mm256_castsi256_ps(load(p + 32));
  *first = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), 0xd8);
  *second = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8);
}

// The scales and offsets of 6 bits: the first four of each whole, of the last four 4 bits and,
// above the first four, 2. Each in 32 bits.
INLINE void six_bits(const char *p, __m256i *scales, __m256i *offsets) {
  uint32_t w[3];
  memcpy(w, p, sizeof w);
  *scales = _mm256_cvtepu8_epi32(
      _mm_setr_epi32(w[0] & 0x3f3f3f3f, (w[2] & 0x0f0f0f0f) | (w[0] >> 2 & 0x30303030), 0, 0));
  *offsets = _mm256_cvtepu8_epi32(
      _mm_setr_epi32(w[1] & 0x3f3f3f3f, (w[2] >> 4 & 0x0f0f0f0f) | (w[1] >> 2 & 0x30303030), 0, 0));
}

// Packs one group as half of a piece of a panel.
INLINE void pack_group(char *to, const char *from) {
  const __m256i low = _mm256_set1_epi8(15);
  // 8 codes of a row have the weights 8 chunk, and 32 behind those in their upper halves
  for (int chunk = 0; chunk < 16; chunk++) {
    const int step = chunk / 4 * 16 + chunk % 4 * 2;
    __m256i v[2];
    two_steps(from + codes_at + 64 * chunk, v, v + 1);
    for (int i = 0; i < 2; i++) {
      store(to + 64 * (step + i), _mm256_and_si256(v[i], low));
      store(to + 64 * (step + i + 8), _mm256_and_si256(_mm256_srli_epi16(v[i], 4), low));
    }
  }
  to += qgemm_supers_scales;
  __m256i scales[8], offsets[8];
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++) {
    six_bits(from + integers_at + 12 * s, scales + s, offsets + s);
    store(to + 64 * s, _mm256_or_si256(scales[s], _mm256_slli_epi32(scales[s], 16)));
  }
#pragma GCC unroll 4
  for (int s = 0; s < 4; s++)
    store(to + 64 * (8 + s),
          _mm256_or_si256(offsets[2 * s], _mm256_slli_epi32(offsets[2 * s + 1], 16)));
  to += 64 * 12;
  _mm256_store_ps((float *)to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)));
  _mm256_store_ps((float *)(to + 64),
                  _mm256_sub_ps(_mm256_setzero_ps(),
                                _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + 16)))));
}

AVX2 void qgemm_avx2_pack_interleaved(int type, char *panel, const char *const groups[2],
                                      int64_t first, int64_t pieces) {
  (void)type; // Q4_K, see eyelet_qgemm_supports_interleaved
  for (int64_t p = first; p < first + pieces; p++, panel += qgemm_supers_scales + 12 * 64 + 128)
    for (int half = 0; half < 2; half++)
      pack_group(panel + 32 * half, groups[half] + p * group_bytes);
}
#endif
