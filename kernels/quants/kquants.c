#include "kquants.h"

#if defined(__x86_64__)

#include "../../cgo/isa/isa.h"
#include <immintrin.h>
#include <string.h>

// ggml searches the scale of each sub-block one after the other, and adds in the order of its
// values. Here eight sub-blocks take the eight lanes of a register and go through the same
// operations in the same order, so that each lane rounds as ggml does. Multiplications and
// additions must not be fused: hence no FMA among the instructions.
#define KERNEL __attribute__((target("avx2,f16c")))
#define INLINE static inline __attribute__((always_inline, target("avx2,f16c")))

int kquants_supported(void) { return eyelet_isa_allows(eyelet_isa_avx2); }

// nearest rounds to the nearest whole number, halves to the even one, by the trick that ggml uses:
// what lies beyond 2^22 comes out the same, too.
INLINE __m256i nearest(__m256 x) {
  __m256i bits = _mm256_castps_si256(_mm256_add_ps(x, _mm256_set1_ps(12582912.f)));
  return _mm256_sub_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)),
                          _mm256_set1_epi32(0x00400000));
}

static inline int nearest1(float x) {
  float shifted = x + 12582912.f;
  int32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  return (bits & 0x007fffff) - 0x00400000;
}

INLINE __m256i clamp(__m256i x, int low, int high) {
  return _mm256_max_epi32(_mm256_min_epi32(x, _mm256_set1_epi32(high)), _mm256_set1_epi32(low));
}

INLINE __m256 absolute(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.f), x); }

INLINE uint16_t half(float x) {
  return (uint16_t)_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0);
}

INLINE float whole(uint16_t h) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h))); }

// lanes puts value i of eight sub-blocks of n values side by side.
INLINE void lanes(const float *x, int n, __m256 *out) {
  __m256i at = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(n));
  for (int i = 0; i < n; i++)
    out[i] = _mm256_i32gather_ps(x + i, at, 4);
}

// levels writes the level of each value for a scale and a minimum, lane by lane: what is left where
// a sub-block's scale rounds to nothing.
INLINE void levels(const __m256 *x, int n, __m256 inverse, __m256 from, int low, int high,
                   __m256i add, uint8_t *l) {
  for (int i = 0; i < n; i++) {
    int32_t eight[8];
    _mm256_storeu_si256(
        (__m256i *)eight,
        _mm256_add_epi32(
            clamp(nearest(_mm256_mul_ps(inverse, _mm256_sub_ps(x[i], from))), low, high), add));
    for (int k = 0; k < 8; k++)
      l[k * n + i] = (uint8_t)eight[k];
  }
}

typedef struct {
  float scale[8], min[8]; // of sub-blocks: value = scale·level - min
  __m256 inverse, from;   // level = nearest(inverse·(value - from))
  __m256 x[32];
  __m256 flat; // sub-blocks of equal values
} affine;

// search_affine finds scales and minima of eight sub-blocks of 32 values: a first guess from the
// range, then steps of the inverse scale, each with the least squares of its levels, weighted by
// how large values are.
KERNEL static void search_affine(const float *values, int most, float first, float step, int steps,
                                 affine *a) {
  const __m256 zero = _mm256_setzero_ps();
  __m256 weight[32], level[32], *x = a->x;
  lanes(values, 32, x);
  __m256 squares = zero;
  for (int i = 0; i < 32; i++)
    squares = _mm256_add_ps(squares, _mm256_mul_ps(x[i], x[i]));
  __m256 mean = _mm256_sqrt_ps(_mm256_div_ps(squares, _mm256_set1_ps(32)));
  for (int i = 0; i < 32; i++)
    weight[i] = _mm256_add_ps(mean, absolute(x[i]));
  __m256 min = x[0], max = x[0], sum_w = weight[0], sum_x = _mm256_mul_ps(weight[0], x[0]);
  for (int i = 1; i < 32; i++) {
    min = _mm256_min_ps(x[i], min);
    max = _mm256_max_ps(x[i], max);
    sum_w = _mm256_add_ps(sum_w, weight[i]);
    sum_x = _mm256_add_ps(sum_x, _mm256_mul_ps(weight[i], x[i]));
  }
  min = _mm256_min_ps(zero, min);
  a->flat = _mm256_cmp_ps(max, min, _CMP_EQ_OQ);
  const __m256 flat_min = min;
  __m256 inverse = _mm256_div_ps(_mm256_set1_ps((float)most), _mm256_sub_ps(max, min));
  __m256 scale = _mm256_div_ps(_mm256_set1_ps(1), inverse), best = zero;
  a->inverse = inverse, a->from = min;
  for (int i = 0; i < 32; i++) {
    __m256 l = _mm256_cvtepi32_ps(
        clamp(nearest(_mm256_mul_ps(inverse, _mm256_sub_ps(x[i], min))), 0, most));
    __m256 diff = _mm256_sub_ps(_mm256_add_ps(_mm256_mul_ps(scale, l), min), x[i]);
    best = _mm256_add_ps(best, _mm256_mul_ps(weight[i], _mm256_mul_ps(diff, diff)));
  }
  for (int s = 0; s <= steps; s++) {
    inverse = _mm256_div_ps(_mm256_set1_ps(first + step * (float)s + (float)most),
                            _mm256_sub_ps(max, min));
    __m256 sum_l = zero, sum_l2 = zero, sum_xl = zero;
    for (int i = 0; i < 32; i++) {
      __m256 l = _mm256_cvtepi32_ps(
          clamp(nearest(_mm256_mul_ps(inverse, _mm256_sub_ps(x[i], min))), 0, most));
      level[i] = l;
      __m256 wl = _mm256_mul_ps(weight[i], l);
      sum_l = _mm256_add_ps(sum_l, wl);
      sum_l2 = _mm256_add_ps(sum_l2, _mm256_mul_ps(wl, l));
      sum_xl = _mm256_add_ps(sum_xl, _mm256_mul_ps(wl, x[i]));
    }
    __m256 determinant = _mm256_sub_ps(_mm256_mul_ps(sum_w, sum_l2), _mm256_mul_ps(sum_l, sum_l));
    __m256 fits = _mm256_cmp_ps(determinant, zero, _CMP_GT_OQ);
    __m256 try_scale = _mm256_div_ps(
        _mm256_sub_ps(_mm256_mul_ps(sum_w, sum_xl), _mm256_mul_ps(sum_x, sum_l)), determinant);
    __m256 try_min = _mm256_div_ps(
        _mm256_sub_ps(_mm256_mul_ps(sum_l2, sum_x), _mm256_mul_ps(sum_l, sum_xl)), determinant);
    __m256 above = _mm256_cmp_ps(try_min, zero, _CMP_GT_OQ);
    try_scale = _mm256_blendv_ps(try_scale, _mm256_div_ps(sum_xl, sum_l2), above);
    try_min = _mm256_blendv_ps(try_min, zero, above);
    __m256 error = zero;
    for (int i = 0; i < 32; i++) {
      __m256 diff = _mm256_sub_ps(_mm256_add_ps(_mm256_mul_ps(try_scale, level[i]), try_min), x[i]);
      error = _mm256_add_ps(error, _mm256_mul_ps(weight[i], _mm256_mul_ps(diff, diff)));
    }
    __m256 better = _mm256_and_ps(fits, _mm256_cmp_ps(error, best, _CMP_LT_OQ));
    a->inverse = _mm256_blendv_ps(a->inverse, inverse, better);
    a->from = _mm256_blendv_ps(a->from, min, better);
    best = _mm256_blendv_ps(best, error, better);
    scale = _mm256_blendv_ps(scale, try_scale, better);
    min = _mm256_blendv_ps(min, try_min, better);
  }
  _mm256_storeu_ps(a->scale, _mm256_andnot_ps(a->flat, scale));
  _mm256_storeu_ps(a->min,
                   _mm256_xor_ps(_mm256_blendv_ps(min, flat_min, a->flat), _mm256_set1_ps(-0.f)));
}

// affine_block writes the head of a super-block, d, dmin and twelve bytes of scales and minima in 6
// bits, and the level of each value.
KERNEL static void affine_block(const float *x, int most, float first, float step, int steps,
                                uint8_t *y, uint8_t *level) {
  affine a;
  search_affine(x, most, first, step, steps, &a);
  float max_scale = 0, max_min = 0;
  for (int j = 0; j < 8; j++) {
    max_scale = a.scale[j] > max_scale ? a.scale[j] : max_scale;
    max_min = a.min[j] > max_min ? a.min[j] : max_min;
  }
  float inverse_scale = max_scale > 0 ? 63.f / max_scale : 0.f,
        inverse_min = max_min > 0 ? 63.f / max_min : 0.f;
  uint8_t sc[8], mn[8], *packed = y + 4;
  memset(packed, 0, 12);
  for (int j = 0; j < 8; j++) {
    uint8_t s = (uint8_t)nearest1(inverse_scale * a.scale[j]),
            m = (uint8_t)nearest1(inverse_min * a.min[j]);
    sc[j] = s = s > 63 ? 63 : s;
    mn[j] = m = m > 63 ? 63 : m;
    if (j < 4) {
      packed[j] = s;
      packed[j + 4] = m;
    } else {
      packed[j + 4] = (uint8_t)((s & 0xF) | ((m & 0xF) << 4));
      packed[j - 4] |= (uint8_t)((s >> 4) << 6);
      packed[j] |= (uint8_t)((m >> 4) << 6);
    }
  }
  uint16_t d = half(max_scale / 63.f), dmin = half(max_min / 63.f);
  memcpy(y, &d, 2);
  memcpy(y + 2, &dmin, 2);
  int left = 0; // sub-blocks that keep the levels of the search
  for (int j = 0; j < 8; j++)
    left |= whole(d) * (float)sc[j] == 0;
  if (left) {
    levels(a.x, 32, a.inverse, a.from, 0, most, _mm256_setzero_si256(), level);
    float flat[8];
    _mm256_storeu_ps(flat, a.flat);
    for (int j = 0; j < 8; j++) {
      uint32_t bits;
      memcpy(&bits, &flat[j], 4);
      if (bits)
        memset(level + 32 * j, 0, 32);
    }
  }
  for (int j = 0; j < 8; j++) {
    float scale = whole(d) * (float)sc[j];
    if (scale == 0)
      continue;
    __m256 by = _mm256_set1_ps(scale), min = _mm256_set1_ps(whole(dmin) * (float)mn[j]);
    for (int i = 32 * j; i < 32 * (j + 1); i += 8) {
      int32_t eight[8];
      _mm256_storeu_si256(
          (__m256i *)eight,
          clamp(nearest(_mm256_div_ps(_mm256_add_ps(_mm256_loadu_ps(x + i), min), by)), 0, most));
      for (int k = 0; k < 8; k++)
        level[i + k] = (uint8_t)eight[k];
    }
  }
}

KERNEL void kquants_q4_K(const float *x, uint8_t *y, size_t n) {
  uint8_t level[KQUANTS_BLOCK];
  for (size_t i = 0; i < n; i++, x += KQUANTS_BLOCK, y += KQUANTS_Q4_K) {
    affine_block(x, 15, -1.f, 0.1f, 20, y, level);
    uint8_t *low = y + 16;
    for (int j = 0; j < KQUANTS_BLOCK; j += 64, low += 32)
      for (int k = 0; k < 32; k++)
        low[k] = (uint8_t)(level[j + k] | (level[j + k + 32] << 4));
  }
}

KERNEL void kquants_q5_K(const float *x, uint8_t *y, size_t n) {
  uint8_t level[KQUANTS_BLOCK];
  for (size_t i = 0; i < n; i++, x += KQUANTS_BLOCK, y += KQUANTS_Q5_K) {
    affine_block(x, 31, -0.5f, 0.1f, 15, y, level);
    uint8_t *high = y + 16, *low = y + 48;
    memset(high, 0, 32);
    for (int j = 0; j < 4; j++, low += 32)
      for (int k = 0; k < 32; k++) {
        uint8_t a = level[64 * j + k], b = level[64 * j + k + 32];
        high[k] |= (uint8_t)((a >> 4) << (2 * j) | (b >> 4) << (2 * j + 1));
        low[k] = (uint8_t)((a & 15) | (b & 15) << 4);
      }
  }
}

// A sub-block whose values are smaller counts as nothing.
static const float tiny = 1e-15f;

typedef struct {
  float scale[8];
  __m256 inverse; // level = nearest(inverse·value)
  __m256 x[16];
  __m256 nothing; // sub-blocks without a value of any size
} symmetric;

// search_symmetric finds scales of eight sub-blocks of 16 values, without minima: the scale of the
// largest value, then steps around it, each with the least squares of its levels, weighted by the
// squares of values.
KERNEL static void search_symmetric(const float *values, symmetric *s) {
  enum { most = 32 };
  const __m256 zero = _mm256_setzero_ps();
  __m256 weight[16], weighted[16], *x = s->x, max = zero, largest = zero;
  lanes(values, 16, x);
  for (int i = 0; i < 16; i++) {
    __m256 size = absolute(x[i]), larger = _mm256_cmp_ps(size, largest, _CMP_GT_OQ);
    largest = _mm256_blendv_ps(largest, size, larger);
    max = _mm256_blendv_ps(max, x[i], larger);
    weight[i] = _mm256_mul_ps(x[i], x[i]);
    weighted[i] = _mm256_mul_ps(weight[i], x[i]);
  }
  s->nothing = _mm256_cmp_ps(largest, _mm256_set1_ps(tiny), _CMP_LT_OQ);
  __m256 scale = zero, best = zero;
  s->inverse = zero;
  for (int step = -10; step <= 9; step++) {
    if (step == 0)
      continue;
    // The first is the scale of the largest value itself.
    float levels = step == -10 ? (float)-most : -((float)most + 0.1f * (float)step);
    __m256 inverse = _mm256_div_ps(_mm256_set1_ps(levels), max), sum_xl = zero, sum_l2 = zero;
    for (int i = 0; i < 16; i++) {
      __m256 l = _mm256_cvtepi32_ps(clamp(nearest(_mm256_mul_ps(inverse, x[i])), -most, most - 1));
      sum_xl = _mm256_add_ps(sum_xl, _mm256_mul_ps(weighted[i], l));
      sum_l2 = _mm256_add_ps(sum_l2, _mm256_mul_ps(_mm256_mul_ps(weight[i], l), l));
    }
    __m256 some = _mm256_cmp_ps(sum_l2, zero, _CMP_GT_OQ);
    __m256 try_scale = _mm256_and_ps(some, _mm256_div_ps(sum_xl, sum_l2));
    __m256 better =
        step == -10 ? _mm256_cmp_ps(zero, zero, _CMP_EQ_OQ)
                    : _mm256_and_ps(some, _mm256_cmp_ps(_mm256_mul_ps(sum_xl, sum_xl),
                                                        _mm256_mul_ps(best, sum_l2), _CMP_GT_OQ));
    scale = _mm256_blendv_ps(scale, try_scale, better);
    best = _mm256_blendv_ps(best, _mm256_mul_ps(try_scale, sum_xl), better);
    s->inverse = _mm256_blendv_ps(s->inverse, inverse, better);
  }
  _mm256_storeu_ps(s->scale, _mm256_andnot_ps(s->nothing, scale));
}

KERNEL void kquants_q6_K(const float *x, uint8_t *y, size_t n) {
  for (size_t b = 0; b < n; b++, x += KQUANTS_BLOCK, y += KQUANTS_Q6_K) {
    symmetric s[2];
    uint8_t level[KQUANTS_BLOCK];
    float max_scale = 0, largest = 0;
    for (int h = 0; h < 2; h++) {
      search_symmetric(x + 128 * h, &s[h]);
      for (int j = 0; j < 8; j++) {
        float size = s[h].scale[j] < 0 ? -s[h].scale[j] : s[h].scale[j];
        if (size > largest)
          largest = size, max_scale = s[h].scale[j];
      }
    }
    memset(y, 0, KQUANTS_Q6_K);
    if (largest < tiny)
      continue;
    float inverse = -128.f / max_scale;
    uint16_t d = half(1 / inverse);
    memcpy(y + 208, &d, 2);
    for (int h = 0; h < 2; h++) {
      int left = 0;
      for (int j = 0; j < 8; j++) {
        int scale = nearest1(inverse * s[h].scale[j]);
        int8_t stored = (int8_t)(scale > 127 ? 127 : scale);
        y[192 + 8 * h + j] = (uint8_t)stored;
        left |= whole(d) * (float)stored == 0;
      }
      uint8_t *l = level + 128 * h;
      if (left) {
        float nothing[8];
        levels(s[h].x, 16, s[h].inverse, _mm256_setzero_ps(), -32, 31, _mm256_set1_epi32(32), l);
        _mm256_storeu_ps(nothing, s[h].nothing);
        for (int j = 0; j < 8; j++) {
          uint32_t bits;
          memcpy(&bits, &nothing[j], 4);
          if (bits)
            memset(l + 16 * j, 0, 16);
        }
      }
      for (int j = 0; j < 8; j++) {
        float by = whole(d) * (float)(int8_t)y[192 + 8 * h + j];
        if (by == 0)
          continue;
        for (int i = 16 * j; i < 16 * (j + 1); i += 8) {
          int32_t eight[8];
          __m256i q =
              clamp(nearest(_mm256_div_ps(_mm256_loadu_ps(x + 128 * h + i), _mm256_set1_ps(by))),
                    -32, 31);
          _mm256_storeu_si256((__m256i *)eight, q);
          for (int k = 0; k < 8; k++)
            l[i + k] = (uint8_t)(eight[k] + 32);
        }
      }
    }
    for (int h = 0; h < 2; h++) {
      const uint8_t *l = level + 128 * h;
      uint8_t *low = y + 64 * h, *high = y + 128 + 32 * h;
      for (int k = 0; k < 32; k++) {
        low[k] = (uint8_t)((l[k] & 15) | (l[k + 64] & 15) << 4);
        low[k + 32] = (uint8_t)((l[k + 32] & 15) | (l[k + 96] & 15) << 4);
        high[k] = (uint8_t)(l[k] >> 4 | (l[k + 32] >> 4) << 2 | (l[k + 64] >> 4) << 4 |
                            (l[k + 96] >> 4) << 6);
      }
    }
  }
}

KERNEL void kquants_from_f16(const uint16_t *x, float *y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
  for (; i < n; i++)
    y[i] = whole(x[i]);
}

KERNEL void kquants_from_bf16(const uint16_t *x, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t bits = (uint32_t)x[i] << 16;
    memcpy(y + i, &bits, 4);
  }
}

KERNEL int kquants_within(const float *x, size_t n, float limit) {
  int good = 1;
  for (size_t i = 0; i < n; i++)
    good &= (x[i] >= -limit) & (x[i] <= limit);
  return good;
}

#else

int kquants_supported(void) { return 0; }
void kquants_q4_K(const float *x, uint8_t *y, size_t n) { (void)x, (void)y, (void)n; }
void kquants_q5_K(const float *x, uint8_t *y, size_t n) { (void)x, (void)y, (void)n; }
void kquants_q6_K(const float *x, uint8_t *y, size_t n) { (void)x, (void)y, (void)n; }
void kquants_from_f16(const uint16_t *x, float *y, size_t n) { (void)x, (void)y, (void)n; }
void kquants_from_bf16(const uint16_t *x, float *y, size_t n) { (void)x, (void)y, (void)n; }
int kquants_within(const float *x, size_t n, float limit) {
  return (void)x, (void)n, (void)limit, 0;
}

#endif
