// The inner loops of float32 products for AVX2, FMA and F16C.
#include "fgemm_parts.h"

#ifdef FGEMM_X86

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline))

enum { width = 16, rows = 6 };

// A tile of up to 6 rows and a panel of 16 columns: 12 sums, 2 vectors of the panel and a broadcast
// number fill 15 of 16 registers.
AVX2 INLINE void multiply_tile(const float *a, size_t stride, const int n, const float *b,
                               int64_t k, float *c, bool add) {
  const float *const a3 = a + 3 * stride;
  __m256 sum[rows][2];
#pragma GCC unroll 6
  for (int r = 0; r < n; r++)
    sum[r][0] = sum[r][1] = _mm256_setzero_ps();
#pragma GCC unroll 4
  for (int64_t i = 0; i < k; i++) {
    const __m256 b0 = _mm256_loadu_ps(b + i * width), b1 = _mm256_loadu_ps(b + i * width + 8);
#pragma GCC unroll 6
    for (int r = 0; r < n; r++) {
      const __m256 x = _mm256_broadcast_ss(r < 3 ? a + r * stride + i : a3 + (r - 3) * stride + i);
      sum[r][0] = _mm256_fmadd_ps(x, b0, sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(x, b1, sum[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < n; r++) {
    float *to = c + r * width;
    _mm256_storeu_ps(to, add ? _mm256_add_ps(sum[r][0], _mm256_loadu_ps(to)) : sum[r][0]);
    _mm256_storeu_ps(to + 8, add ? _mm256_add_ps(sum[r][1], _mm256_loadu_ps(to + 8)) : sum[r][1]);
  }
}

#define TILE(n)                                                                                                              \
  AVX2 static void multiply_##n(const float *a, size_t stride, const float *b, int64_t k, float *c, bool add) {             \
    multiply_tile(a, stride, n, b, k, c, add);                                                                               \
  }
TILE(1)
TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)

    static void multiply(const float *a, size_t stride, int64_t n, const float *b, int64_t k,
                         float *c, bool add) {
  typedef void tile(const float *, size_t, const float *, int64_t, float *, bool);
  static tile *const tiles[] = {NULL,       multiply_1, multiply_2, multiply_3,
                                multiply_4, multiply_5, multiply_6};
  while (n > 0) {
    // 4 rows are enough to keep the units busy, so what 6 does not divide ends in two tiles of 3 to
    // 5.
    int take = n >= 10 || n == 6 ? rows : n > rows ? (int)(n + 1) / 2 : (int)n;
    tiles[take](a, stride, b, k, c, add);
    a += take * stride, c += take * width, n -= take;
  }
}

// Transposes 8 rows of 8.
AVX2 INLINE void transpose_8x8(float *dst, size_t dst_stride, const float *src, size_t src_stride) {
  __m256 r[8], p[8];
#pragma GCC unroll 8
  // rows i and i+4 side by side, first their left halves, then their right
  for (int i = 0; i < 4; i++) {
    const float *low = src + i * src_stride, *high = src + (i + 4) * src_stride;
    r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
    r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low + 4)),
                                    _mm_loadu_ps(high + 4), 1);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    p[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    p[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    p[i + 2] = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
    p[i + 3] = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 4) {
    _mm256_storeu_ps(dst + i * dst_stride, _mm256_shuffle_ps(p[i], p[i + 2], 0x44));
    _mm256_storeu_ps(dst + (i + 1) * dst_stride, _mm256_shuffle_ps(p[i], p[i + 2], 0xee));
    _mm256_storeu_ps(dst + (i + 2) * dst_stride, _mm256_shuffle_ps(p[i + 1], p[i + 3], 0x44));
    _mm256_storeu_ps(dst + (i + 3) * dst_stride, _mm256_shuffle_ps(p[i + 1], p[i + 3], 0xee));
  }
}

AVX2 static void transpose(float *dst, size_t dst_stride, const float *src, size_t src_stride,
                           int64_t rows, int64_t columns) {
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8) {
    int64_t c = 0;
    for (; c + 8 <= columns; c += 8)
      transpose_8x8(dst + c * dst_stride + r, dst_stride, src + r * src_stride + c, src_stride);
    for (; c < columns; c++)
      for (int i = 0; i < 8; i++)
        dst[c * dst_stride + r + i] = src[(r + i) * src_stride + c];
  }
  for (; r < rows; r++)
    for (int64_t c = 0; c < columns; c++)
      dst[c * dst_stride + r] = src[r * src_stride + c];
}

AVX2 static void widen_f16(float *dst, const uint16_t *src, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
  for (; i < n; i++)
    dst[i] = _cvtsh_ss(src[i]);
}

AVX2 static void widen_bf16(float *dst, const uint16_t *src, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i h = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(src + i)));
    _mm256_storeu_si256((__m256i *)(dst + i), _mm256_slli_epi32(h, 16));
  }
  for (; i < n; i++) {
    const uint32_t bits = (uint32_t)src[i] << 16;
    memcpy(dst + i, &bits, 4);
  }
}

const fgemm_kernels fgemm_avx2 = {"avx2", width, rows, multiply, transpose, widen_f16, widen_bf16};

// ---- half as wide ----

// Panels of one vector: 12 sums, the vector of the panel and a broadcast number fill 14 of 16
// registers.
enum { narrow_width = 8, narrow_rows = 12 };

AVX2 INLINE void multiply_narrow(const float *a, size_t stride, const int n, const float *b,
                                 int64_t k, float *c, bool add) {
  __m256 sum[narrow_rows];
#pragma GCC unroll 12
  for (int r = 0; r < n; r++)
    sum[r] = _mm256_setzero_ps();
  for (int64_t i = 0; i < k; i++) {
    const __m256 b0 = _mm256_loadu_ps(b + i * narrow_width);
#pragma GCC unroll 12
    for (int r = 0; r < n; r++)
      sum[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + r * stride + i), b0, sum[r]);
  }
#pragma GCC unroll 12
  for (int r = 0; r < n; r++) {
    float *to = c + r * narrow_width;
    _mm256_storeu_ps(to, add ? _mm256_add_ps(sum[r], _mm256_loadu_ps(to)) : sum[r]);
  }
}

#define NARROW_TILE(n)                                                                            \
  AVX2 static void multiply_narrow_##n(const float *a, size_t stride, const float *b, int64_t k,  \
                                       float *c, bool add) {                                      \
    multiply_narrow(a, stride, n, b, k, c, add);                                                  \
  }
NARROW_TILE(1)
NARROW_TILE(2)
NARROW_TILE(4)
NARROW_TILE(6)
NARROW_TILE(8)
NARROW_TILE(10)
NARROW_TILE(12)

static void multiply_avx2_narrow(const float *a, size_t stride, int64_t n, const float *b,
                                 int64_t k, float *c, bool add) {
  typedef void tile(const float *, size_t, const float *, int64_t, float *, bool);
  static tile *const tiles[] = {multiply_narrow_1, multiply_narrow_2,  multiply_narrow_4,
                                multiply_narrow_6, multiply_narrow_8, multiply_narrow_10,
                                multiply_narrow_12};
  while (n > 0) {
    int take = n >= narrow_rows + 8 || n == narrow_rows ? narrow_rows
               : n > narrow_rows                        ? (int)(n + 1) / 2
                                                        : (int)n;
    take = take > 1 ? take / 2 * 2 : 1;
    tiles[take / 2](a, stride, b, k, c, add);
    a += take * stride, c += take * narrow_width, n -= take;
  }
}

const fgemm_kernels fgemm_avx2_narrow = {"avx2",    narrow_width, narrow_rows, multiply_avx2_narrow,
                                         transpose, widen_f16,    widen_bf16};

// ---- AVX-512 ----

// Only the product differs, and the panels are twice as wide: 14 rows of two vectors are 28 sums of
// 32 registers.
#define AVX512 __attribute__((target("avx2,fma,avx512f")))

enum { wide_width = 32, wide_rows = 14 };

AVX512 INLINE void multiply_wide(const float *a, size_t stride, const int n, const float *b,
                                 int64_t k, float *c, bool add) {
  __m512 sum[wide_rows][2];
#pragma GCC unroll 14
  for (int r = 0; r < n; r++)
    sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  for (int64_t i = 0; i < k; i++) {
    const __m512 b0 = _mm512_loadu_ps(b + i * wide_width),
                 b1 = _mm512_loadu_ps(b + i * wide_width + 16);
#pragma GCC unroll 14
    for (int r = 0; r < n; r++) {
      const __m512 x = _mm512_set1_ps(a[r * stride + i]);
      sum[r][0] = _mm512_fmadd_ps(x, b0, sum[r][0]);
      sum[r][1] = _mm512_fmadd_ps(x, b1, sum[r][1]);
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < n; r++) {
    float *to = c + r * wide_width;
    _mm512_storeu_ps(to, add ? _mm512_add_ps(sum[r][0], _mm512_loadu_ps(to)) : sum[r][0]);
    _mm512_storeu_ps(to + 16, add ? _mm512_add_ps(sum[r][1], _mm512_loadu_ps(to + 16)) : sum[r][1]);
  }
}

#define WIDE_TILE(n)                                                                                                         \
  AVX512 static void multiply_wide_##n(const float *a, size_t stride, const float *b, int64_t k, float *c, bool add) {      \
    multiply_wide(a, stride, n, b, k, c, add);                                                                               \
  }
WIDE_TILE(1)
WIDE_TILE(2) WIDE_TILE(4) WIDE_TILE(6) WIDE_TILE(8) WIDE_TILE(10) WIDE_TILE(12) WIDE_TILE(14)

    static void multiply_avx512(const float *a, size_t stride, int64_t n, const float *b, int64_t k,
                                float *c, bool add) {
  typedef void tile(const float *, size_t, const float *, int64_t, float *, bool);
  static tile *const tiles[] = {multiply_wide_1,  multiply_wide_2, multiply_wide_4,
                                multiply_wide_6,  multiply_wide_8, multiply_wide_10,
                                multiply_wide_12, multiply_wide_14};
  while (n > 0) {
    int take = n >= wide_rows + 8 || n == wide_rows ? wide_rows
               : n > wide_rows                      ? (int)(n + 1) / 2
                                                    : (int)n;
    take = take > 1 ? take / 2 * 2 : 1;
    tiles[take / 2](a, stride, b, k, c, add);
    a += take * stride, c += take * wide_width, n -= take;
  }
}

const fgemm_kernels fgemm_avx512 = {"avx512",  wide_width, wide_rows, multiply_avx512,
                                    transpose, widen_f16,  widen_bf16};

#endif
