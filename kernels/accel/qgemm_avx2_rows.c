// Activations for AVX2: rounded, and laid out as in qgemm_avx2.h.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

// The largest integers. Of 16 bits, 32 products with weights of 8 fit into 32 bits, whatever the
// weights.
enum { limit_bytes = 127, limit_shorts = 32767 };

// The largest magnitude of a multiple of 32 numbers. The bits of a NaN are above those of an
// infinity, as numbers are above zero.
INLINE float largest(const float *x, int n) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i top[4] = {0};
  for (int i = 0; i < n; i += 32)
    for (int j = 0; j < 4; j++)
      top[j] = _mm256_max_epi32(
          top[j],
          _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(x + i + 8 * j)), magnitude));
  const __m256i all =
      _mm256_max_epi32(_mm256_max_epi32(top[0], top[1]), _mm256_max_epi32(top[2], top[3]));
  __m128i t = _mm_max_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  t = _mm_max_epi32(t, _mm_shuffle_epi32(t, 0x4e));
  t = _mm_max_epi32(t, _mm_shuffle_epi32(t, 0xb1));
  return _mm_cvtss_f32(_mm_castsi128_ps(t));
}

INLINE __m256i round8(const float *x, float by) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(by)));
}

// Puts the steps of 32 bytes of a row where they belong, of which a step has so many.
INLINE void scatter(char *to, __m256i v, int r, int bytes) {
  _Alignas(32) char all[32];
  _mm256_store_si256((__m256i *)all, v);
#pragma GCC unroll 8
  for (int at = 0; at < 32; at += bytes)
    memcpy(to + at * r, all + at, bytes);
}

// Rounds 32 numbers to 8 bits, and returns the sums of each four, in order.
INLINE __m256i round32(char *to, const float *x, float by, int r, int bytes) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); // packing works in halves
  const __m256i low = _mm256_packs_epi32(round8(x, by), round8(x + 8, by)),
                high = _mm256_packs_epi32(round8(x + 16, by), round8(x + 24, by));
  const __m256i q = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
  scatter(to, q, r, bytes);
  return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), _mm256_set1_epi16(1));
}

// The sums of the halves of 8 numbers.
INLINE void halves(__m256i v, int32_t sum[2]) {
  v = _mm256_add_epi32(v, _mm256_shuffle_epi32(v, 0x4e));
  v = _mm256_add_epi32(v, _mm256_shuffle_epi32(v, 0xb1));
  sum[0] = _mm256_extract_epi32(v, 0);
  sum[1] = _mm256_extract_epi32(v, 4);
}

// The second number of a row is a float, the sum of its numbers; or, for weights that are stored
// higher by center, an integer: what that adds to a product with them, with the other sign.
INLINE void pack_blocks(int center, char *tile, const float *x, size_t stride, int r,
                        int64_t pieces) {
  for (int64_t p = 0; p < pieces; p++, x += 32, tile += 40 * r)
    for (int i = 0; i < r; i++) {
      float by, scale;
      int32_t sum[2];
      qgemm_scale(largest(x + i * stride, 32), limit_bytes, &by, &scale);
      halves(round32(tile + 4 * i, x + i * stride, by, r, 4), sum);
      const float total = scale * (sum[0] + sum[1]);
      const int32_t start = -center * (sum[0] + sum[1]);
      memcpy(tile + 32 * r + 4 * i, &scale, 4);
      memcpy(tile + 36 * r + 4 * i, center ? (const void *)&start : &total, 4);
    }
}

AVX2 static void pack_bytes(char *tile, const float *x, size_t stride, int r, int64_t pieces) {
  pack_blocks(0, tile, x, stride, r, pieces);
}

AVX2 void qgemm_avx2_pack_centered(int center, char *tile, const float *x, size_t stride, int r,
                                   int64_t pieces) {
  pack_blocks(center, tile, x, stride, r, pieces);
}

AVX2 static void pack_shorts(char *tile, const float *x, size_t stride, int r, int64_t pieces) {
  const __m256i order = _mm256_set_epi8(15, 14, 11, 10, 13, 12, 9, 8, 7, 6, 3, 2, 5, 4, 1, 0, 15,
                                        14, 11, 10, 13, 12, 9, 8, 7, 6, 3, 2, 5, 4, 1, 0);
  for (int64_t p = 0; p < pieces; p++, x += 32, tile += 68 * r)
    for (int i = 0; i < r; i++) {
      float by, scale;
      qgemm_scale(largest(x + i * stride, 32), limit_shorts, &by, &scale);
      for (int h = 0; h < 2; h++) {
        const float *from = x + i * stride + 16 * h;
        const __m256i q = _mm256_permute4x64_epi64(
            _mm256_packs_epi32(round8(from, by), round8(from + 8, by)), 0xd8);
        scatter(tile + 32 * r * h + 4 * i, _mm256_shuffle_epi8(q, order), r, 4);
      }
      memcpy(tile + 64 * r + 4 * i, &scale, 4);
    }
}

INLINE void pack_supers(int bytes, int subs, char *tile, const float *x, size_t stride, int r,
                        int64_t pieces) {
  for (int64_t p = 0; p < pieces; p++, x += 256, tile += (256 + 2 * subs + 4) * r)
    for (int i = 0; i < r; i++) {
      float by, scale;
      int32_t sum[16];
      qgemm_scale(largest(x + i * stride, 256), limit_bytes, &by, &scale);
      for (int g = 0; g < 8; g++)
        halves(round32(tile + 32 * r * g + bytes * i, x + i * stride + 32 * g, by, r, bytes),
               sum + 2 * g);
      for (int s = 0; s < subs; s += 2) {
        const int of = 16 / subs, first = s * of, second = first + of;
        const int16_t two[2] = {sum[first] + (of > 1 ? sum[first + 1] : 0),
                                sum[second] + (of > 1 ? sum[second + 1] : 0)};
        memcpy(tile + (256 + 2 * s) * r + 4 * i, two, 4);
      }
      memcpy(tile + (256 + 2 * subs) * r + 4 * i, &scale, 4);
    }
}

#define PACK_SUPERS(NAME, BYTES, SUBS)                                                         \
  AVX2 static void NAME(char *tile, const float *x, size_t stride, int r, int64_t pieces) {    \
    pack_supers(BYTES, SUBS, tile, x, stride, r, pieces);                                      \
  }
PACK_SUPERS(pack_fours_of_16, 4, 16)
PACK_SUPERS(pack_fours_of_32, 4, 8)
PACK_SUPERS(pack_eights_of_16, 8, 16)
PACK_SUPERS(pack_eights_of_32, 8, 8)

void qgemm_avx2_pack_rows(int type, char *tile, const float *x, size_t stride, int r,
                          int64_t pieces) {
  switch (qgemm_layout_of(type)) {
  case qgemm_bytes: pack_bytes(tile, x, stride, r, pieces); break;
  case qgemm_shorts: pack_shorts(tile, x, stride, r, pieces); break;
  case qgemm_supers16: pack_fours_of_16(tile, x, stride, r, pieces); break;
  case qgemm_supers32: pack_fours_of_32(tile, x, stride, r, pieces); break;
  }
}

void qgemm_avx2_pack_eights(int type, char *tile, const float *x, size_t stride, int r,
                            int64_t pieces) {
  if (qgemm_layout_of(type) == qgemm_supers16)
    pack_eights_of_16(tile, x, stride, r, pieces);
  else
    pack_eights_of_32(tile, x, stride, r, pieces);
}
#endif
