//go:build cgo

// Both sets of instructions multiply short integers and add the products in 32 bits, so a weight of
// 23 bits is cut into digits, each digit gets sums of its own, and the sums are put together at the
// end. All of it is exact modulo 2^32, in any order, and the sum that Pillow's arithmetic asks for
// fits 32 bits.
//
// Weights come in blocks of four taps, packed by resample_amd64.go: for AVX2 two digits of 16 bits
// (the low halves of taps 0 and 1, of taps 2 and 3, then the high halves of both), for AVX-512
// three digits of 8 bits (the lowest of all four taps, the middle, the highest, nothing).
#include "resample.h"

#include <immintrin.h>
#include <string.h>

enum { weight_bits = 22, half = 1 << (weight_bits - 1) };

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

static inline size_t at_most(size_t a, size_t b) { return a < b ? a : b; }

// Writes a pixel whose fourth byte is nothing. It may land on the next pixel, which is written
// later, but not behind the last.
static inline void put_pixel(uint8_t *dst, uint32_t pixel, bool last) {
  if (last) {
    memcpy(dst, &pixel, 3);
  } else {
    memcpy(dst, &pixel, 4);
  }
}

// ---- AVX2 ----

// Sixteen bytes of each of two rows.
AVX2 static inline __m256i load_two(const uint8_t *a, const uint8_t *b) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)a)),
                                 _mm_loadu_si128((const __m128i *)b), 1);
}

AVX2 static inline __m256i multiply_add(__m256i sum, __m256i samples, __m256i weights) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(samples, weights));
}

// Puts the sums of the two digits together and takes them back to the scale of a sample, not yet
// clipped.
AVX2 static inline __m256i whole(__m256i low, __m256i high) {
  return _mm256_srai_epi32(_mm256_add_epi32(low, _mm256_slli_epi32(high, 16)), weight_bits);
}

// Four rows at once, a row each half of two registers; a half holds the three channels of a pixel
// and one column of nothing.
AVX2 void eyelet_resample_rows_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                    size_t src_stride, size_t rows, const int32_t *first,
                                    const int32_t *weights, size_t blocks, const int32_t *bias,
                                    size_t n) {
  // Taps 0 and 1, and 2 and 3, of each channel side by side, widened to 16 bits.
  const __m256i taps01 = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i taps23 = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  for (size_t y = 0; y < rows; y += 4) {
    // Short of four rows, the last is made again.
    const size_t y1 = at_most(y + 1, rows - 1), y2 = at_most(y + 2, rows - 1),
                 y3 = at_most(y + 3, rows - 1);
    const uint8_t *const s0 = src + y * src_stride, *const s1 = src + y1 * src_stride;
    const uint8_t *const s2 = src + y2 * src_stride, *const s3 = src + y3 * src_stride;
    uint8_t *const d0 = dst + y * dst_stride, *const d1 = dst + y1 * dst_stride;
    uint8_t *const d2 = dst + y2 * dst_stride, *const d3 = dst + y3 * dst_stride;
    const int32_t *w = weights;
    for (size_t x = 0; x < n; x++) {
      __m256i low_a = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(bias + 4 * x)));
      __m256i low_b = low_a, high_a = _mm256_setzero_si256(), high_b = high_a;
      size_t at = 3 * (size_t)first[x];
      for (size_t block = 0; block < blocks; block++, at += 12, w += 4) {
        const __m256i a = load_two(s0 + at, s1 + at), b = load_two(s2 + at, s3 + at);
        const __m256i a01 = _mm256_shuffle_epi8(a, taps01), a23 = _mm256_shuffle_epi8(a, taps23);
        const __m256i b01 = _mm256_shuffle_epi8(b, taps01), b23 = _mm256_shuffle_epi8(b, taps23);
        const __m256i low01 = _mm256_set1_epi32(w[0]), low23 = _mm256_set1_epi32(w[1]);
        const __m256i high01 = _mm256_set1_epi32(w[2]), high23 = _mm256_set1_epi32(w[3]);
        low_a = multiply_add(multiply_add(low_a, a01, low01), a23, low23);
        low_b = multiply_add(multiply_add(low_b, b01, low01), b23, low23);
        high_a = multiply_add(multiply_add(high_a, a01, high01), a23, high23);
        high_b = multiply_add(multiply_add(high_b, b01, high01), b23, high23);
      }
      // Packing clips to 16 bits, then to 0..255. The half of rows 0 and 2 comes first, then that
      // of rows 1 and 3.
      const __m256i words = _mm256_packs_epi32(whole(low_a, high_a), whole(low_b, high_b));
      const __m256i bytes = _mm256_packus_epi16(words, words);
      const __m128i even = _mm256_castsi256_si128(bytes), odd = _mm256_extracti128_si256(bytes, 1);
      const bool last = x + 1 == n;
      put_pixel(d0 + 3 * x, (uint32_t)_mm_cvtsi128_si32(even), last);
      put_pixel(d1 + 3 * x, (uint32_t)_mm_cvtsi128_si32(odd), last);
      put_pixel(d2 + 3 * x, (uint32_t)_mm_extract_epi32(even, 1), last);
      put_pixel(d3 + 3 * x, (uint32_t)_mm_extract_epi32(odd, 1), last);
    }
  }
}

// The sums of 32 columns: four registers each digit, in the order in which unpacking leaves the
// columns.
typedef struct {
  __m256i low[4], high[4];
} sums_avx2;

// Adds two rows, each times its weight; low and high hold both weights' digits side by side.
AVX2 static inline void add_rows_avx2(sums_avx2 *sums, __m256i a, __m256i b, __m256i low,
                                      __m256i high) {
  const __m256i zero = _mm256_setzero_si256(), ab = _mm256_unpacklo_epi8(a, b),
                ab2 = _mm256_unpackhi_epi8(a, b);
  const __m256i pairs[4] = {_mm256_unpacklo_epi8(ab, zero), _mm256_unpackhi_epi8(ab, zero),
                            _mm256_unpacklo_epi8(ab2, zero), _mm256_unpackhi_epi8(ab2, zero)};
  for (int i = 0; i < 4; i++) {
    sums->low[i] = multiply_add(sums->low[i], pairs[i], low);
    sums->high[i] = multiply_add(sums->high[i], pairs[i], high);
  }
}

AVX2 static inline __m256i load_avx2(const uint8_t *p) {
  return _mm256_loadu_si256((const __m256i *)p);
}

// 32 columns of one output row. from is the source row of the first tap, of `rows` that there are.
AVX2 static inline void column_block_avx2(uint8_t *dst, const uint8_t *from, size_t stride,
                                          size_t rows, const int32_t *w, size_t blocks,
                                          const uint8_t *beyond, int32_t outside) {
  sums_avx2 sums;
  for (int i = 0; i < 4; i++) {
    sums.low[i] = _mm256_set1_epi32(half);
    sums.high[i] = _mm256_setzero_si256();
  }
  if (outside != 0) {
    const int16_t low = (int16_t)outside;
    const int32_t high = (int32_t)(((uint32_t)outside - (uint32_t)(int32_t)low) >> 16);
    add_rows_avx2(&sums, load_avx2(beyond), _mm256_setzero_si256(),
                  _mm256_set1_epi32((uint16_t)low), _mm256_set1_epi32(high));
  }
  const size_t whole_blocks = at_most(blocks, rows / 4);
  for (size_t block = 0; block < whole_blocks; block++, from += 4 * stride, w += 4) {
    add_rows_avx2(&sums, load_avx2(from), load_avx2(from + stride), _mm256_set1_epi32(w[0]),
                  _mm256_set1_epi32(w[2]));
    add_rows_avx2(&sums, load_avx2(from + 2 * stride), load_avx2(from + 3 * stride),
                  _mm256_set1_epi32(w[1]), _mm256_set1_epi32(w[3]));
  }
  const size_t left = rows - 4 * whole_blocks;
  if (whole_blocks < blocks && left > 0) {
    // Past the last row every weight is zero, whatever it would be multiplied with.
    add_rows_avx2(&sums, load_avx2(from), load_avx2(from + at_most(1, left - 1) * stride),
                  _mm256_set1_epi32(w[0]), _mm256_set1_epi32(w[2]));
    add_rows_avx2(&sums, load_avx2(from + at_most(2, left - 1) * stride),
                  load_avx2(from + (left - 1) * stride), _mm256_set1_epi32(w[1]),
                  _mm256_set1_epi32(w[3]));
  }
  const __m256i a =
      _mm256_packs_epi32(whole(sums.low[0], sums.high[0]), whole(sums.low[1], sums.high[1]));
  const __m256i b =
      _mm256_packs_epi32(whole(sums.low[2], sums.high[2]), whole(sums.low[3], sums.high[3]));
  _mm256_storeu_si256((__m256i *)dst, _mm256_packus_epi16(a, b));
}

// The weight of tap j out of its packed digits.
static inline int32_t unpack_avx2(const int32_t *weights, size_t j) {
  const int32_t *w = weights + j / 4 * 4;
  const uint32_t low = (uint32_t)w[j % 4 / 2], high = (uint32_t)w[2 + j % 4 / 2];
  const unsigned shift = j % 2 * 16;
  return (int32_t)((high >> shift << 16) + (uint32_t)(int32_t)(int16_t)(low >> shift));
}

// Fewer columns than a register has.
static void narrow_columns(uint8_t *dst, const uint8_t *from, size_t stride, size_t taps,
                           const int32_t *weights, const uint8_t *beyond, int32_t outside,
                           size_t bytes) {
  for (size_t x = 0; x < bytes; x++) {
    uint32_t sum = half;
    if (outside != 0) sum += (uint32_t)outside * beyond[x];
    for (size_t j = 0; j < taps; j++)
      sum += (uint32_t)unpack_avx2(weights, j) * from[j * stride + x];
    const int32_t sample = (int32_t)sum >> weight_bits;
    dst[x] = (uint8_t)(sample < 0 ? 0 : sample > 255 ? 255 : sample);
  }
}

AVX2 void eyelet_resample_columns_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                       size_t src_stride, size_t lo, size_t rows,
                                       const int32_t *first, const int32_t *weights, size_t blocks,
                                       const uint8_t *beyond, const int32_t *outside,
                                       size_t outputs, size_t bytes) {
  for (size_t y = 0; y < outputs; y++, dst += dst_stride, weights += 4 * blocks) {
    const size_t skipped = (size_t)first[y] - lo, there = rows - skipped;
    const uint8_t *from = src + skipped * src_stride;
    if (bytes < 32) {
      narrow_columns(dst, from, src_stride, at_most(4 * blocks, there), weights, beyond, outside[y],
                     bytes);
      continue;
    }
    for (size_t x = 0; x < bytes; x += 32) {
      // The last block lies partly over the one before it, to end where the row does.
      const size_t at = at_most(x, bytes - 32);
      column_block_avx2(dst + at, from + at, src_stride, there, weights, blocks, beyond + at,
                        outside[y]);
    }
  }
}

// ---- AVX-512 with VNNI ----

// Sixteen bytes of each of four rows.
AVX512 static inline __m512i load_four(const uint8_t *const *rows, size_t at) {
  __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(rows[0] + at)));
  v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(rows[1] + at)), 1);
  v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(rows[2] + at)), 2);
  return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(rows[3] + at)), 3);
}

// The sums of the three digits, of sixteen samples.
typedef struct {
  __m512i low, middle, high;
} sums_avx512;

AVX512 static inline void add_taps_avx512(sums_avx512 *sums, __m512i taps, __m512i low,
                                          __m512i middle, __m512i high) {
  sums->low = _mm512_dpbusd_epi32(sums->low, taps, low);
  sums->middle = _mm512_dpbusd_epi32(sums->middle, taps, middle);
  sums->high = _mm512_dpbusd_epi32(sums->high, taps, high);
}

AVX512 static inline __m512i whole_avx512(sums_avx512 sums) {
  const __m512i upper =
      _mm512_add_epi32(_mm512_slli_epi32(sums.middle, 8), _mm512_slli_epi32(sums.high, 16));
  return _mm512_srai_epi32(_mm512_add_epi32(sums.low, upper), weight_bits);
}

AVX512 static inline void put_four(uint8_t *const *rows, size_t at, sums_avx512 sums, bool last) {
  const __m512i samples = _mm512_max_epi32(whole_avx512(sums), _mm512_setzero_si512());
  const __m128i bytes = _mm512_cvtusepi32_epi8(samples);
  put_pixel(rows[0] + at, (uint32_t)_mm_cvtsi128_si32(bytes), last);
  put_pixel(rows[1] + at, (uint32_t)_mm_extract_epi32(bytes, 1), last);
  put_pixel(rows[2] + at, (uint32_t)_mm_extract_epi32(bytes, 2), last);
  put_pixel(rows[3] + at, (uint32_t)_mm_extract_epi32(bytes, 3), last);
}

// Eight rows at once, a row each quarter of two registers.
AVX512 void eyelet_resample_rows_avx512(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                        size_t src_stride, size_t rows, const int32_t *first,
                                        const int32_t *weights, size_t blocks, const int32_t *bias,
                                        size_t n) {
  // The four taps of each channel side by side.
  const __m512i by_channel = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
  for (size_t y = 0; y < rows; y += 8) {
    const uint8_t *s[8];
    uint8_t *d[8];
    for (size_t i = 0; i < 8; i++) {
      s[i] = src + at_most(y + i, rows - 1) * src_stride;
      d[i] = dst + at_most(y + i, rows - 1) * dst_stride;
    }
    const int32_t *w = weights;
    for (size_t x = 0; x < n; x++) {
      const __m512i zero = _mm512_setzero_si512();
      sums_avx512 a = {_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(bias + 4 * x))),
                       zero, zero},
                  b = a;
      size_t at = 3 * (size_t)first[x];
      for (size_t block = 0; block < blocks; block++, at += 12, w += 4) {
        const __m512i low = _mm512_set1_epi32(w[0]), middle = _mm512_set1_epi32(w[1]),
                      high = _mm512_set1_epi32(w[2]);
        add_taps_avx512(&a, _mm512_shuffle_epi8(load_four(s, at), by_channel), low, middle, high);
        add_taps_avx512(&b, _mm512_shuffle_epi8(load_four(s + 4, at), by_channel), low, middle,
                        high);
      }
      put_four(d, 3 * x, a, x + 1 == n);
      put_four(d + 4, 3 * x, b, x + 1 == n);
    }
  }
}

// Adds four rows of 64 columns, each row times its weight; the sums keep the order in which
// unpacking leaves the columns.
AVX512 static inline void add_rows_avx512(sums_avx512 *sums, __m512i a, __m512i b, __m512i c,
                                          __m512i d, const int32_t *w) {
  const __m512i ab = _mm512_unpacklo_epi8(a, b), ab2 = _mm512_unpackhi_epi8(a, b);
  const __m512i cd = _mm512_unpacklo_epi8(c, d), cd2 = _mm512_unpackhi_epi8(c, d);
  const __m512i low = _mm512_set1_epi32(w[0]), middle = _mm512_set1_epi32(w[1]),
                high = _mm512_set1_epi32(w[2]);
  add_taps_avx512(&sums[0], _mm512_unpacklo_epi16(ab, cd), low, middle, high);
  add_taps_avx512(&sums[1], _mm512_unpackhi_epi16(ab, cd), low, middle, high);
  add_taps_avx512(&sums[2], _mm512_unpacklo_epi16(ab2, cd2), low, middle, high);
  add_taps_avx512(&sums[3], _mm512_unpackhi_epi16(ab2, cd2), low, middle, high);
}

// The columns of mask, up to 64, of one output row.
AVX512 static inline void column_block_avx512(uint8_t *dst, __mmask64 mask, const uint8_t *from,
                                              size_t stride, size_t rows, const int32_t *w,
                                              size_t blocks, const uint8_t *beyond,
                                              int32_t outside) {
  const __m512i zero = _mm512_setzero_si512();
  sums_avx512 sums[4];
  for (int i = 0; i < 4; i++) sums[i] = (sums_avx512){_mm512_set1_epi32(half), zero, zero};
  if (outside != 0) {
    // The same digits as a packed weight's, of one tap instead of four.
    const int32_t low = (int8_t)outside, rest = (outside - low) / 256, middle = (int8_t)rest,
                  high = (rest - middle) / 256;
    const int32_t digits[3] = {low & 255, middle & 255, high & 255};
    add_rows_avx512(sums, _mm512_maskz_loadu_epi8(mask, beyond), zero, zero, zero, digits);
  }
  for (size_t block = 0; block < blocks && 4 * block < rows; block++, from += 4 * stride, w += 4) {
    // Past the last row every weight is zero, whatever it would be multiplied with.
    const size_t after = rows - 4 * block - 1;
    add_rows_avx512(sums, _mm512_maskz_loadu_epi8(mask, from),
                    _mm512_maskz_loadu_epi8(mask, from + at_most(1, after) * stride),
                    _mm512_maskz_loadu_epi8(mask, from + at_most(2, after) * stride),
                    _mm512_maskz_loadu_epi8(mask, from + at_most(3, after) * stride), w);
  }
  const __m512i a = _mm512_packs_epi32(whole_avx512(sums[0]), whole_avx512(sums[1]));
  const __m512i b = _mm512_packs_epi32(whole_avx512(sums[2]), whole_avx512(sums[3]));
  _mm512_mask_storeu_epi8(dst, mask, _mm512_packus_epi16(a, b));
}

AVX512 void eyelet_resample_columns_avx512(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                           size_t src_stride, size_t lo, size_t rows,
                                           const int32_t *first, const int32_t *weights,
                                           size_t blocks, const uint8_t *beyond,
                                           const int32_t *outside, size_t outputs, size_t bytes) {
  for (size_t y = 0; y < outputs; y++, dst += dst_stride, weights += 4 * blocks) {
    const size_t skipped = (size_t)first[y] - lo;
    const uint8_t *from = src + skipped * src_stride;
    for (size_t x = 0; x < bytes; x += 64) {
      const __mmask64 mask = bytes - x >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (bytes - x)) - 1;
      column_block_avx512(dst + x, mask, from + x, src_stride, rows - skipped, weights, blocks,
                          beyond + x, outside[y]);
    }
  }
}
