// Weights for AVX2: blocks of 16 rows taken apart, and laid out as in qgemm_avx2.h. Bytes of blocks
// are transposed before their bits are taken apart, as there are fewer of them then.
#include "qgemm_avx2.h"

#ifdef QGEMM_X86
#include "qgemm_avx2_columns.h"

typedef const char *const *pointers;

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
      const __m256 scale = floats_before(eight, at);
      __m256 offset = _mm256_mul_ps(scale, _mm256_set1_ps(b.center));
      if (b.minimum)
        offset = _mm256_sub_ps(_mm256_setzero_ps(), floats_before(eight, at + b.minimum));
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
      _mm256_store_ps((float *)(to + scales), floats_before(eight, at));
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

INLINE void pack_q4_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8];
  for (int j = 0; j < 4; j++) {
    columns8(rows, at + 16 + 32 * j, v);
    put32(to + 1024 * j, v, 0, 4, v, 0, 0);
    put32(to + 1024 * j + 512, v, 4, 4, v, 0, 0);
  }
  put_scales_k(to + qgemm_supers_scales, rows, at);
}

INLINE void pack_q5_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8], fifth[8];
  columns8(rows, at + 16, fifth);
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    columns8(rows, at + 48 + 32 * j, v);
    put32(to + 1024 * j, v, 0, 4, fifth, 2 * j, 1);
    put32(to + 1024 * j + 512, v, 4, 4, fifth, 2 * j + 1, 1);
  }
  put_scales_k(to + qgemm_supers_scales, rows, at);
}

// Q6_K's codes are 32 above what they stand for.
INLINE void pack_q6_k(char *to, const char *const *rows, size_t at) {
  __m256i low[8], high[8], scales[4];
  for (int h = 0; h < 2; h++, to += 2048) {
    columns8(rows, at + 128 + 32 * h, high);
    columns8(rows, at + 64 * h, low);
    put32(to, low, 0, 4, high, 0, 2);
    put32(to + 1024, low, 4, 4, high, 4, 2);
    columns8(rows, at + 64 * h + 32, low);
    put32(to + 512, low, 0, 4, high, 2, 2);
    put32(to + 1536, low, 4, 4, high, 6, 2);
  }
  columns4(rows, at + 192, scales);
  put_signed_scales(to, scales, 5, floats(rows, at + 208));
}

// The 6-bit scales of 8 rows of Q3_K, 32 above what they stand for: 4 bits of all 16, then 2 of
// each.
INLINE void scales_q3_k(const __m256i w[3], __m256i scales[4]) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m256i four = and(i < 2 ? w[i] : _mm256_srli_epi32(w[i - 2], 4), 15);
    const __m256i two = and(_mm256_srli_epi32(w[2], 2 * i), 3);
    scales[i] = _mm256_sub_epi8(_mm256_or_si256(four, _mm256_slli_epi32(two, 4)),
                                _mm256_set1_epi8(32));
  }
}

// Q3_K's codes are 4 above what they stand for.
INLINE void pack_q3_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8], third[8], scales[4];
  columns8(rows, at, third);
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++) {
    columns8(rows, at + 32 + 32 * h, v);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      put32(to + 512 * (4 * h + j), v, 2 * j, 2, third, 4 * h + j, 1);
  }
  columns4(rows, at + 94, v); // which ends where the block does
  __m256i w[3];
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++)
    w[i] = _mm256_or_si256(_mm256_srli_epi32(v[i], 16), _mm256_slli_epi32(v[i + 1], 16));
  scales_q3_k(w, scales);
  put_signed_scales(to + qgemm_supers_scales, scales, 2,
                    floats(rows, at + 108));
}

INLINE void pack_q2_k(char *to, const char *const *rows, size_t at) {
  __m256i v[8], scales[4];
  for (int h = 0; h < 2; h++) {
    columns8(rows, at + 16 + 32 * h, v);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      put32(to + 512 * (4 * h + j), v, 2 * j, 2, v, 0, 0);
  }
  to += qgemm_supers_scales;
  columns4(rows, at, scales);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++)
    store(to + 64 * i, twice(and(scales[i / 4], 15), i % 4));
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++)
    store(to + 64 * (16 + i), both(and(_mm256_srli_epi32(scales[i / 2], 4), 15), i % 2 * 2));
  put_d_and_e(to + 24 * 64, floats(rows, at + 80), minus(floats(rows, at + 82)));
}

// ---- types ----

#define BLOCKS_OF_32(NAME, PACK, HOW)                                                              \
  AVX2 static void NAME(char *panel, pointers rows, int64_t first, int64_t pieces) {               \
    PACK(HOW, panel, rows, first, pieces);                                                         \
  }

#define BLOCKS_OF_256(NAME, PACK, BYTES, SUBS)                                                     \
  AVX2 static void NAME(char *panel, pointers rows, int64_t first, int64_t pieces) {               \
    const int piece = qgemm_supers_scales + 96 * SUBS + 128;                                       \
    for (int64_t p = first; p < first + pieces; p++, panel += piece)                               \
      for (int half = 0; half < 2; half++)                                                         \
        PACK(panel + 32 * half, rows + 8 * half, p *BYTES);                                        \
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
