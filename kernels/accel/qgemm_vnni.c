// Integer products for AVX-512 with VNNI: an instruction multiplies 64 bytes without sign with 64
// bytes with sign and adds them up in 32 bits, four by four (vpdpbusd). The sums of 12 rows and 16
// columns take 12 registers of 32.
//
// Tiles and panels lie in memory as in qgemm_avx2.h, but values of 8 bits with sign are stored
// without, 128 higher, as qgemm_bytes; and where all values of a type are stored higher, sums start
// from what takes that away again.
#include "qgemm_avx2.h"
#include "qgemm_few.h"

#ifdef QGEMM_X86
#include <immintrin.h>
#include <string.h>

#include "../../cgo/isa/isa.h"

#define VNNI __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")))
#define INLINE VNNI static inline __attribute__((always_inline))

enum { most_rows = 12 };

// Adds the products of a step. The compiler would load x into a register of its own first.
INLINE __m512i add_bytes(__m512i sum, __m512i w, const char *x) {
  __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int32_t *)x));
  return sum;
}

INLINE __m512i add_pairs(__m512i sum, __m512i w, const char *x) {
  __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int32_t *)x));
  return sum;
}

INLINE __m512i load(const void *p) { return _mm512_load_si512(p); }

// A number of steps of bytes, from zero or from integers of the rows.
INLINE void multiply_steps(int steps, int r, const char *x, const char *w, const int32_t *start,
                           __m512i sum[most_rows]) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++)
    sum[i] = start ? _mm512_set1_epi32(start[i]) : _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int s = 0; s < steps; s++) {
    const __m512i v = load(w + 64 * s);
#pragma GCC unroll 12
    for (int i = 0; i < r; i++)
      sum[i] = add_bytes(sum[i], v, x + 4 * (s * r + i));
  }
}

// Adds integers, times the factors of columns and rows.
INLINE void scale(__m512 sum[most_rows], const __m512i dots[most_rows], int r, __m512 columns,
                  const float *rows) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++)
    sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[i]),
                             _mm512_mul_ps(columns, _mm512_set1_ps(rows[i])), sum[i]);
}

// Rows of y lie far apart, and nothing else has asked for them when they are written.
INLINE void begin(__m512 sum[most_rows], const float *y, size_t stride, int r) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++) {
    sum[i] = _mm512_setzero_ps();
    __builtin_prefetch(y + i * stride, 1);
  }
}

INLINE void put(float *y, size_t stride, const __m512 sum[most_rows], int r, bool add) {
#pragma GCC unroll 12
  for (int i = 0; i < r; i++) {
    float *to = y + i * stride;
    _mm512_storeu_ps(to, add ? _mm512_add_ps(_mm512_loadu_ps(to), sum[i]) : sum[i]);
  }
}

INLINE void multiply_bytes(bool centered, const char *tile, int r, const char *panel,
                           int64_t pieces, float *y, size_t stride, bool add) {
  __m512 sum[most_rows];
  begin(sum, y, stride, r);
  for (int64_t p = 0; p < pieces; p++, panel += qgemm_bytes_offsets + 64, tile += 40 * r) {
    const float *x = (const float *)(tile + 32 * r), *xsum = x + r;
    __m512i dot[most_rows];
    multiply_steps(8, r, tile, panel, centered ? (const int32_t *)xsum : NULL, dot);
    scale(sum, dot, r, _mm512_load_ps((const float *)(panel + qgemm_bytes_scales)), x);
    if (centered)
      continue;
    const __m512 offsets = _mm512_load_ps((const float *)(panel + qgemm_bytes_offsets));
#pragma GCC unroll 12
    for (int i = 0; i < r; i++)
      sum[i] = _mm512_fnmadd_ps(offsets, _mm512_set1_ps(xsum[i]), sum[i]);
  }
  put(y, stride, sum, r, add);
}

// Where one factor is for both (same), the offsets are the first to be added up.
INLINE void multiply_supers(int subs, bool same, const char *tile, int r, const char *panel,
                            int64_t pieces, float *y, size_t stride, bool add) {
  __m512 sum[most_rows];
  begin(sum, y, stride, r);
  for (int64_t p = 0; p < pieces; p++, tile += (256 + 2 * subs + 4) * r) {
    const char *scales = panel + qgemm_supers_scales, *offsets = scales + 64 * subs;
    const float *d = (const float *)(offsets + 32 * subs),
                *x = (const float *)(tile + (256 + 2 * subs) * r);
    __m512i total[most_rows], dot[most_rows];
#pragma GCC unroll 12
    for (int i = 0; i < r; i++)
      total[i] = _mm512_setzero_si512();
    for (int s = 0; s < subs / 2; s++) {
      const __m512i v = load(offsets + 64 * s);
#pragma GCC unroll 12
      for (int i = 0; i < r; i++)
        total[i] = add_pairs(total[i], v, tile + 256 * r + 4 * (s * r + i));
    }
    if (!same) {
      scale(sum, total, r, _mm512_load_ps(d + 16), x);
#pragma GCC unroll 12
      for (int i = 0; i < r; i++)
        total[i] = _mm512_setzero_si512();
    }
    const char *steps = tile;
    for (int sub = 0; sub < subs; sub++, steps += 256 / subs * r, panel += 4096 / subs) {
      const __m512i factor = _mm512_srai_epi32(load(scales + 64 * sub), 16);
      multiply_steps(64 / subs, r, steps, panel, NULL, dot);
#pragma GCC unroll 12
      for (int i = 0; i < r; i++)
        total[i] = _mm512_add_epi32(total[i], _mm512_mullo_epi32(dot[i], factor));
    }
    scale(sum, total, r, _mm512_load_ps(d), x);
    panel = (const char *)(d + 32);
  }
  put(y, stride, sum, r, add);
}

#define EACH(ROWS)                                                                                 \
  ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#define CASE(r) \
  case r: CALL(r); break;
#define KERNEL(NAME)                                                                          \
  VNNI static void NAME(const char *tile, int rows, const char *panel, int64_t pieces,        \
                        float *y, size_t stride, bool add) {                                  \
    switch (rows) { EACH(CASE) }                                                              \
  }

#define CALL(r) multiply_bytes(false, tile, r, panel, pieces, y, stride, add)
KERNEL(multiply_offset)
#undef CALL
#define CALL(r) multiply_bytes(true, tile, r, panel, pieces, y, stride, add)
KERNEL(multiply_centered)
#undef CALL
#define CALL(r) multiply_supers(8, false, tile, r, panel, pieces, y, stride, add)
KERNEL(multiply_4_k)
#undef CALL
#define CALL(r) multiply_supers(16, false, tile, r, panel, pieces, y, stride, add)
KERNEL(multiply_2_k)
#undef CALL
#define CALL(r) multiply_supers(16, true, tile, r, panel, pieces, y, stride, add)
KERNEL(multiply_6_k)
#undef CALL

static void multiply(int type, const char *tile, int r, const char *panel, int64_t pieces, float *y,
                     size_t stride, bool add) {
  switch (type) {
  case qgemm_q4_k:
  case qgemm_q5_k: multiply_4_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q2_k: multiply_2_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q3_k:
  case qgemm_q6_k: multiply_6_k(tile, r, panel, pieces, y, stride, add); break;
  case qgemm_q4_1:
  case qgemm_q5_1: multiply_offset(tile, r, panel, pieces, y, stride, add); break;
  default: multiply_centered(tile, r, panel, pieces, y, stride, add);
  }
}

// By how much the stored bytes of a type are above its values; 0 if there is an offset for that.
static int center(int type) {
  switch (type) {
  case qgemm_q4_0: return 8;
  case qgemm_q5_0: return 16;
  case qgemm_q8_0:
  case qgemm_iq4_nl: return 128;
  default: return 0;
  }
}

static bool present(void) { return eyelet_isa_allows(eyelet_isa_vnni); }

static qgemm_shape shape(int type) {
  return qgemm_layout_of(type) == qgemm_shorts ? (qgemm_shape){32, 32 + 8, qgemm_bytes_offsets + 64}
                                               : qgemm_avx2.shape(type);
}

static void pack_rows(int type, char *tile, const float *x, size_t stride, int r, int64_t pieces) {
  if (center(type))
    qgemm_avx2_pack_centered(center(type), tile, x, stride, r, pieces);
  else
    qgemm_avx2_pack_rows(type, tile, x, stride, r, pieces);
}

static void pack_panel(int type, char *panel, const char *const *rows, int64_t first,
                       int64_t pieces) {
  if (qgemm_layout_of(type) == qgemm_shorts)
    qgemm_avx2_pack_signed(type, panel, rows, first, pieces);
  else
    qgemm_avx2_pack_panel(type, panel, rows, first, pieces);
}

const qgemm_kernels qgemm_vnni = {
    "vnni",   present,        most_rows, shape, pack_rows, pack_panel, qgemm_avx2_pack_interleaved,
    multiply, &qgemm_vnni_few};
#endif
