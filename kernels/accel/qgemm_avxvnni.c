// Integer products for AVX-VNNI, which desktops have that lack AVX-512: the instructions of
// qgemm_vnni.c on vectors of half the length, 16 of them instead of 32. Every number of a product
// has the same bits.
#include "qgemm_dots.h"

#ifdef QGEMM_X86
#include "../../cgo/isa/isa.h"
#include "qgemm_avx2_steps.h"
#include "qgemm_few.h"

INLINE void multiply_bytes(bool centered, const char *tile, int r, const char *panel,
                           int64_t pieces, float *y, size_t stride, bool add) {
  sums sum = {0};
  fetch(y, stride, r);
  for (int64_t p = 0; p < pieces; p++, panel += qgemm_bytes_offsets + 64, tile += 40 * r) {
    const float *x = (const float *)(tile + 32 * r);
    __m256i dot[most_rows][2];
    IN_MEMORY(sum);
    start(dot, r, centered ? (const int32_t *)(x + r) : NULL);
    multiply_steps(dots, dots, 8, r, tile, panel, dot);
    scale(&sum, dot, r, (const float *)(panel + qgemm_bytes_scales), x);
    if (!centered)
      offset(&sum, r, (const float *)(panel + qgemm_bytes_offsets), x + r);
  }
  put(y, stride, &sum, r, add);
}

// Where one factor is for both (same), the offsets are the first to be added up.
INLINE void multiply_supers(int subs, bool same, const char *tile, int r, const char *panel,
                            int64_t pieces, float *y, size_t stride, bool add) {
  sums sum = {0}, total;
  fetch(y, stride, r);
  for (int64_t p = 0; p < pieces; p++, tile += (256 + 2 * subs + 4) * r) {
    const char *scales = panel + qgemm_supers_scales, *offsets = scales + 64 * subs;
    const float *d = (const float *)(offsets + 32 * subs),
                *x = (const float *)(tile + (256 + 2 * subs) * r);
    __m256i dot[most_rows][2];
    IN_MEMORY(sum);
    start(dot, r, NULL);
    multiply_steps(pair_dots, pair_dots, subs / 2, r, tile + 256 * r, offsets, dot);
    if (!same)
      scale(&sum, dot, r, d + 16, x);
#pragma GCC unroll 6
    for (int i = 0; i < r; i++)
      for (int c = 0; c < 2; c++)
        total.i[i][c] = same ? dot[i][c] : _mm256_setzero_si256();
    const char *steps = tile;
    for (int sub = 0; sub < subs; sub++, steps += 256 / subs * r, panel += 4096 / subs) {
      IN_MEMORY(total);
      start(dot, r, NULL);
      multiply_steps(dots, dots, 64 / subs, r, steps, panel, dot);
      scale_dots(&total, dot, r, scales + 64 * sub);
    }
    IN_MEMORY(total);
    scale(&sum, total.i, r, d, x);
    panel = (const char *)(d + 32);
  }
  put(y, stride, &sum, r, add);
}

#define TARGET AVX2
#define EACH_ROWS QGEMM_ROWS_6
#include "qgemm_dots_kernels.h"

static bool present(void) { return eyelet_isa_allows(eyelet_isa_avxvnni); }

const qgemm_kernels qgemm_avxvnni = {
    "avxvnni", present, most_rows, qgemm_dots_shape, qgemm_dots_pack_rows, qgemm_dots_pack_panel,
    qgemm_avx2_pack_interleaved, multiply, &qgemm_avxvnni_few};
#endif
