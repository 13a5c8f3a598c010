// Weights for AVX2: blocks of 16 rows taken apart, and laid out as in qgemm_avx2.h. Bytes of blocks
// are transposed before their bits are taken apart, as there are fewer of them then.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

typedef const char *const *pointers;

INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void store(void *p, __m256i v) { _mm256_store_si256((__m256i *)p, v); }
INLINE __m256i and(__m256i v, int mask) { return _mm256_and_si256(v, _mm256_set1_epi8(mask)); }

// ---- transposition ----

// The columns of 8 rows of 8 numbers of 32 bits, which the rows have at an offset.
INLINE void columns8(const char *const *rows, size_t offset, __m256i v[8]) {
  __m256i a[8], b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++)
    a[i] = load(rows[i] + offset);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    v[i] = _mm256_permute2x128_si256(a[i], a[i + 4], 0x20);
    v[i + 4] = _mm256_permute2x128_si256(a[i], a[i + 4], 0x31);
  }
}

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

// The numbers of 16 bits that 8 rows have at an offset, as floats.
INLINE __m256 floats(const char *const *rows, size_t offset) {
  uint16_t h[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++)
    memcpy(h + i, rows[i] + offset, 2);
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)h));
}

// ---- blocks of 32 ----

// What is common to the blocks of 32: where in a block its parts are. The offsets of weights are a
// multiple of their scale, or stand in the block, with the other sign.
typedef struct {
  int bytes, minimum, fifth, codes, center;
} block;

// The bit of 4 times 8 weights that comes above the other four: bits is 32 of them for each column.
INLINE __m256i fifth(__m256i bits, int step) {
  const __m256i of = _mm256_set1_epi32(step & 1 ? (int)0x80402010 : 0x08040201);
  const __m256i byte =
      _mm256_add_epi8(_mm256_set_epi32(0x1c1c1c1c, 0x18181818, 0x14141414, 0x10101010, 0x0c0c0c0c,
                                       0x08080808, 0x04040404, 0),
                      _mm256_set1_epi8(step / 2));
  return and(_mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(bits, byte), of), of), 16);
}

INLINE __m256i numbers(const char *const *rows, size_t offset) {
  int32_t n[8];
  for (int i = 0; i < 8; i++)
    memcpy(n + i, rows[i] + offset, 4);
  return load(n);
}

INLINE void pack_bytes(block b, char *panel, pointers rows, int64_t first, int64_t pieces) {
  for (int64_t p = first; p < first + pieces; p++, panel += qgemm_bytes_offsets + 64)
    for (int half = 0; half < 2; half++) {
      const char *const *eight = rows + 8 * half;
      const size_t at = p * b.bytes;
      char *to = panel + 32 * half;
      __m256i codes[4], bits = _mm256_setzero_si256();
      columns4(eight, at + b.codes, codes);
      if (b.fifth)
        bits = numbers(eight, at + b.fifth);
#pragma GCC unroll 8
      for (int s = 0; s < 8; s++) {
        __m256i q = and(s < 4 ? codes[s] : _mm256_srli_epi16(codes[s - 4], 4), 15);
        store(to + 64 * s, b.fifth ? _mm256_or_si256(q, fifth(bits, s)) : q);
      }
      const __m256 scale = floats(eight, at);
      const __m256 offset = b.minimum
                                ? _mm256_sub_ps(_mm256_setzero_ps(), floats(eight, at + b.minimum))
                                : _mm256_mul_ps(scale, _mm256_set1_ps(b.center));
      _mm256_store_ps((float *)(to + qgemm_bytes_scales), scale);
      _mm256_store_ps((float *)(to + qgemm_bytes_offsets), offset);
    }
}

// Of 4 bytes, the first and the third, and the others, as 16 bits.
INLINE void widen(char *to, __m256i v) {
  store(to, _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8));
  store(to + 64, _mm256_srai_epi16(v, 8));
}

// The 8 steps of a block of Q8_0 or, by a table, of IQ4_NL.
INLINE void signed8(bool table, const char *const *eight, size_t at, __m256i v[8]) {
  const __m256i values = _mm256_broadcastsi128_si256(_mm_setr_epi8(QGEMM_IQ4_NL));
  if (!table) {
    columns8(eight, at + 2, v);
    return;
  }
  columns4(eight, at + 2, v);
#pragma GCC unroll 4
  for (int s = 0; s < 4; s++) {
    v[s + 4] = _mm256_shuffle_epi8(values, and(_mm256_srli_epi16(v[s], 4), 15));
    v[s] = _mm256_shuffle_epi8(values, and(v[s], 15));
  }
}

// Packs such blocks widened, or, as bytes, 128 higher.
INLINE void pack_signed8(bool table, bool wide, char *panel, pointers rows, int64_t first,
                         int64_t pieces) {
  const int scales = wide ? qgemm_shorts_scales : qgemm_bytes_scales,
            piece = wide ? qgemm_shorts_scales + 64 : qgemm_bytes_offsets + 64;
  for (int64_t p = first; p < first + pieces; p++, panel += piece)
    for (int half = 0; half < 2; half++) {
      const char *const *eight = rows + 8 * half;
      const size_t at = p * (table ? 18 : 34);
      char *to = panel + 32 * half;
      __m256i v[8];
      signed8(table, eight, at, v);
#pragma GCC unroll 8
      for (int s = 0; s < 8; s++)
        if (wide)
          widen(to + 128 * s, v[s]);
        else
          store(to + 64 * s, _mm256_xor_si256(v[s], _mm256_set1_epi8(-128)));
      _mm256_store_ps((float *)(to + scales), floats(eight, at));
    }
}

INLINE void pack_shorts(bool table, char *panel, pointers rows, int64_t first, int64_t pieces) {
  pack_signed8(table, true, panel, rows, first, pieces);
}

INLINE void pack_signed(bool table, char *panel, pointers rows, int64_t first, int64_t pieces) {
  pack_signed8(table, false, panel, rows, first, pieces);
}

// ---- blocks of 256 ----

// Stores the 8 steps of 32 weights: bits of low, and bits of high above them.
INLINE void put32(char *to, const __m256i low[8], int low_shift, int low_bits,
                  const __m256i high[8], int high_shift, int high_bits) {
#pragma GCC unroll 8
  for (int s = 0; s < 8; s++) {
    __m256i q = and(_mm256_srli_epi16(low[s], low_shift), (1 << low_bits) - 1);
    if (high_bits) {
      const int mask = ((1 << high_bits) - 1) << low_bits, shift = high_shift - low_bits;
      const __m256i h =
          shift > 0 ? _mm256_srli_epi16(high[s], shift) : _mm256_slli_epi16(high[s], -shift);
      q = _mm256_or_si256(q, and(h, mask));
    }
    store(to + 64 * s, q);
  }
}

// Scales and offsets of 8 columns.
typedef struct {
  _Alignas(32) int16_t scale[8][16], offset[8][16];
} integers;

INLINE void put_integers(char *to, const integers *n, int subs) {
  const char *scales[8], *offsets[8];
  for (int c = 0; c < 8; c++) {
    scales[c] = (const char *)n->scale[c];
    offsets[c] = (const char *)n->offset[c];
  }
  __m256i v[8];
  if (subs == 16)
    columns8(scales, 0, v);
  else
    columns4(scales, 0, v);
#pragma GCC unroll 8
  for (int s = 0; s < subs / 2; s++) { // two scales, each twice
    const __m256i low = _mm256_and_si256(v[s], _mm256_set1_epi32(0xffff)),
                  high = _mm256_srli_epi32(v[s], 16);
    store(to + 128 * s, _mm256_or_si256(low, _mm256_slli_epi32(low, 16)));
    store(to + 128 * s + 64, _mm256_or_si256(high, _mm256_slli_epi32(high, 16)));
  }
  to += 64 * subs;
  if (subs == 16)
    columns8(offsets, 0, v);
  else
    columns4(offsets, 0, v);
#pragma GCC unroll 8
  for (int s = 0; s < subs / 2; s++)
    store(to + 64 * s, v[s]);
}

INLINE void put_floats(char *to, __m256 d, __m256 e) {
  _mm256_store_ps((float *)to, d);
  _mm256_store_ps((float *)(to + 64), _mm256_sub_ps(_mm256_setzero_ps(), e));
}

// The 6-bit scales and offsets of Q4_K and Q5_K: the first four of each whole, of the last four 4
// bits and, above the first four, 2.
INLINE void integers_k(integers *n, int c, const char *b) {
  uint32_t w[3];
  memcpy(w, b + 4, sizeof w);
  const uint32_t six[4] = {
      w[0] & 0x3f3f3f3f,
      (w[2] & 0x0f0f0f0f) | (w[0] >> 2 & 0x30303030),
      w[1] & 0x3f3f3f3f,
      (w[2] >> 4 & 0x0f0f0f0f) | (w[1] >> 2 & 0x30303030),
  };
  const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)six));
  _mm_store_si128((__m128i *)n->scale[c], _mm256_castsi256_si128(wide));
  _mm_store_si128((__m128i *)n->offset[c], _mm256_extracti128_si256(wide, 1));
}

INLINE void pack_q4_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8];
  integers n;
  for (int j = 0; j < 4; j++) {
    columns8(rows, at + 16 + 32 * j, v);
    put32(to + 1024 * j, v, 0, 4, v, 0, 0);
    put32(to + 1024 * j + 512, v, 4, 4, v, 0, 0);
  }
  for (int c = 0; c < 8; c++)
    integers_k(&n, c, rows[c] + at);
  put_integers(to + qgemm_supers_scales, &n, 8);
  put_floats(to + qgemm_supers_scales + 12 * 64, floats(rows, at), floats(rows, at + 2));
}

INLINE void pack_q5_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8], fifth[8];
  integers n;
  columns8(rows, at + 16, fifth);
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    columns8(rows, at + 48 + 32 * j, v);
    put32(to + 1024 * j, v, 0, 4, fifth, 2 * j, 1);
    put32(to + 1024 * j + 512, v, 4, 4, fifth, 2 * j + 1, 1);
  }
  for (int c = 0; c < 8; c++)
    integers_k(&n, c, rows[c] + at);
  put_integers(to + qgemm_supers_scales, &n, 8);
  put_floats(to + qgemm_supers_scales + 12 * 64, floats(rows, at), floats(rows, at + 2));
}

// Q6_K's codes are 32 above what they stand for.
INLINE void pack_q6_k(char *to, const char *const *rows, size_t at) {
  __m256i low[8], high[8];
  integers n;
  for (int h = 0; h < 2; h++, to += 2048) {
    columns8(rows, at + 128 + 32 * h, high);
    columns8(rows, at + 64 * h, low);
    put32(to, low, 0, 4, high, 0, 2);
    put32(to + 1024, low, 4, 4, high, 4, 2);
    columns8(rows, at + 64 * h + 32, low);
    put32(to + 512, low, 0, 4, high, 2, 2);
    put32(to + 1536, low, 4, 4, high, 6, 2);
  }
  for (int c = 0; c < 8; c++) {
    const __m256i s = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(rows[c] + at + 192)));
    store(n.scale[c], s);
    store(n.offset[c], _mm256_slli_epi16(_mm256_sub_epi16(_mm256_setzero_si256(), s), 5));
  }
  put_integers(to, &n, 16);
  put_floats(to + 24 * 64, floats(rows, at + 208), _mm256_setzero_ps());
}

// The 6-bit scales of Q3_K, 32 above what they stand for: 4 bits of all 16, then 2 of each.
INLINE __m128i scales_q3_k(const char *p) {
  uint32_t w[3];
  memcpy(w, p, sizeof w);
  const uint32_t low = 0x0f0f0f0f, two = 0x03030303;
  const __m128i six = _mm_setr_epi32(
      (w[0] & low) | (w[2] & two) << 4, (w[1] & low) | (w[2] >> 2 & two) << 4,
      (w[0] >> 4 & low) | (w[2] >> 4 & two) << 4, (w[1] >> 4 & low) | (w[2] >> 6 & two) << 4);
  return _mm_sub_epi8(six, _mm_set1_epi8(32));
}

// Q3_K's codes are 4 above what they stand for.
INLINE void pack_q3_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8], third[8];
  integers n;
  columns8(rows, at, third);
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    columns8(rows, at + 32 + 32 * h, v);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      put32(to + 512 * (4 * h + j), v, 2 * j, 2, third, 4 * h + j, 1);
  }
  for (int c = 0; c < 8; c++) {
    const __m256i s = _mm256_cvtepi8_epi16(scales_q3_k(rows[c] + at + 96));
    store(n.scale[c], s);
    store(n.offset[c], _mm256_slli_epi16(_mm256_sub_epi16(_mm256_setzero_si256(), s), 2));
  }
  put_integers(to + qgemm_supers_scales, &n, 16);
  put_floats(to + qgemm_supers_scales + 24 * 64, floats(rows, at + 108), _mm256_setzero_ps());
}

INLINE void pack_q2_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8];
  integers n;
  for (int h = 0; h < 2; h++) {
    columns8(rows, at + 16 + 32 * h, v);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      put32(to + 512 * (4 * h + j), v, 2 * j, 2, v, 0, 0);
  }
  for (int c = 0; c < 8; c++) {
    const __m128i s = _mm_loadu_si128((const __m128i *)(rows[c] + at)), low = _mm_set1_epi8(15);
    store(n.scale[c], _mm256_cvtepu8_epi16(_mm_and_si128(s, low)));
    store(n.offset[c], _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(s, 4), low)));
  }
  put_integers(to + qgemm_supers_scales, &n, 16);
  put_floats(to + qgemm_supers_scales + 24 * 64, floats(rows, at + 80), floats(rows, at + 82));
}

// ---- types ----

#define BLOCKS_OF_32(NAME, PACK, HOW)                                                              \
  AVX2 static void NAME(char *panel, pointers rows, int64_t first, int64_t pieces) {               \
    PACK(HOW, panel, rows, first, pieces);                                                         \
  }

#define BLOCKS_OF_256(NAME, PACK, BYTES, SUBS)                                                                                           \
  AVX2 static void NAME(char *panel, pointers rows, int64_t first, int64_t pieces) {                                                   \
    for (int64_t p = first; p < first + pieces; p++, panel += qgemm_supers_scales + 96 * SUBS + 128)                                   \
      for (int half = 0; half < 2; half++)                                                                                             \
        PACK(panel + 32 * half, rows + 8 * half, p *BYTES);                                                                            \
  }

BLOCKS_OF_32(panel_q4_0, pack_bytes, ((block){.bytes = 18, .codes = 2, .center = 8}))
BLOCKS_OF_32(panel_q4_1, pack_bytes, ((block){.bytes = 20, .minimum = 2, .codes = 4}))
BLOCKS_OF_32(panel_q5_0, pack_bytes, ((block){.bytes = 22, .fifth = 2, .codes = 6, .center = 16}))
BLOCKS_OF_32(panel_q5_1, pack_bytes, ((block){.bytes = 24, .minimum = 2, .fifth = 4, .codes = 8}))
BLOCKS_OF_32(panel_q8_0, pack_shorts, false)
BLOCKS_OF_32(panel_iq4_nl, pack_shorts, true)
BLOCKS_OF_32(signed_q8_0, pack_signed, false)
BLOCKS_OF_32(signed_iq4_nl, pack_signed, true)
BLOCKS_OF_256(panel_q2_k, pack_q2_k, 84, 16)
BLOCKS_OF_256(panel_q3_k, pack_q3_k, 110, 16)
BLOCKS_OF_256(panel_q4_k, pack_q4_k, 144, 8)
BLOCKS_OF_256(panel_q5_k, pack_q5_k, 176, 8)
BLOCKS_OF_256(panel_q6_k, pack_q6_k, 210, 16)

void qgemm_avx2_pack_panel(int type, char *panel, const char *const *rows, int64_t first,
                           int64_t pieces) {
  switch (type) {
  case qgemm_q4_0: panel_q4_0(panel, rows, first, pieces); break;
  case qgemm_q4_1: panel_q4_1(panel, rows, first, pieces); break;
  case qgemm_q5_0: panel_q5_0(panel, rows, first, pieces); break;
  case qgemm_q5_1: panel_q5_1(panel, rows, first, pieces); break;
  case qgemm_q8_0: panel_q8_0(panel, rows, first, pieces); break;
  case qgemm_q2_k: panel_q2_k(panel, rows, first, pieces); break;
  case qgemm_q3_k: panel_q3_k(panel, rows, first, pieces); break;
  case qgemm_q4_k: panel_q4_k(panel, rows, first, pieces); break;
  case qgemm_q5_k: panel_q5_k(panel, rows, first, pieces); break;
  case qgemm_q6_k: panel_q6_k(panel, rows, first, pieces); break;
  case qgemm_iq4_nl: panel_iq4_nl(panel, rows, first, pieces); break;
  }
}

void qgemm_avx2_pack_signed(int type, char *panel, const char *const *rows, int64_t first,
                            int64_t pieces) {
  if (type == qgemm_iq4_nl)
    signed_iq4_nl(panel, rows, first, pieces);
  else
    signed_q8_0(panel, rows, first, pieces);
}
#endif
