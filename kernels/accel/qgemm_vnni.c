// Integer products for AVX-512 with VNNI. The sums of 12 rows and 16 columns take 12 registers of
// 32.
#include "qgemm_dots.h"

#ifdef QGEMM_X86
#include "../../cgo/isa/isa.h"
#include "qgemm_few.h"
#include "qgemm_vnni.h"

enum { most_rows = 12 };

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
    clear(total, r);
    for (int s = 0; s < subs / 2; s++) {
      const __m512i v = load(offsets + 64 * s);
#pragma GCC unroll 12
      for (int i = 0; i < r; i++)
        total[i] = add_pairs(total[i], v, tile + 256 * r + 4 * (s * r + i));
    }
    if (!same) {
      scale(sum, total, r, _mm512_load_ps(d + 16), x);
      clear(total, r);
    }
    const char *steps = tile;
    for (int sub = 0; sub < subs; sub++, steps += 256 / subs * r, panel += 4096 / subs) {
      const __m512i factor = _mm512_srai_epi32(load(scales + 64 * sub), 16);
      multiply_steps(64 / subs, r, steps, panel, NULL, dot);
      scale_integers(total, dot, r, factor);
    }
    scale(sum, total, r, _mm512_load_ps(d), x);
    panel = (const char *)(d + 32);
  }
  put(y, stride, sum, r, add);
}

#define TARGET VNNI
#define EACH_ROWS QGEMM_ROWS_12
#include "qgemm_dots_kernels.h"

static bool present(void) { return eyelet_isa_allows(eyelet_isa_vnni); }

const qgemm_kernels qgemm_vnni = {
    "vnni", present, most_rows, qgemm_dots_shape, qgemm_dots_pack_rows, qgemm_dots_pack_panel,
    qgemm_avx2_pack_interleaved, multiply, &qgemm_vnni_few};
#endif
