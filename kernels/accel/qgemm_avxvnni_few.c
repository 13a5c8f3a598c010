// Products of few rows for AVX-VNNI.
#include "qgemm_dots.h"

#ifdef QGEMM_X86
enum { by_dots = true };
#include "qgemm_avx2_eights.h"

// Blocks of 32 without offsets: values of 8 bits, or of 4, in the low halves of bytes the first 16
// and in the high ones the others. Sums start from what takes away by how much stored bytes are
// above the values.
INLINE void multiply_32(int bits, const qgemm_weights *w, const char *tile, int tiles, int r,
                        int64_t pieces, float *y, size_t stride) {
  ahead a = {w->next, w->step};
  sums sum[few_tiles];
  tile_group g = group_of(tile, tiles, r, pieces, 32 + 4 + 4);
  begin_tiles(&g, sum, r, y, stride);
  size_t at = 0;
  for (int64_t p = 0; p < pieces; p++, g.at += 40 * r, at += 2 + 4 * bits) {
    _Alignas(64) float d[16];
    __m256i dot[most_rows][2];
    bytes values;
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      __m256i v[8];
      if (bits == 8)
        columns8(w->rows + 8 * half, at + 2, v);
      else
        columns4(w->rows + 8 * half, at + 2, v);
#pragma GCC unroll 8
      for (int s = 0; s < bits; s++)
        values[s][half] = bits == 8 ? _mm256_xor_si256(v[s], _mm256_set1_epi8(-128)) : v[s];
      _mm256_store_ps(d + 8 * half, floats_before(w->rows + 8 * half, at));
    }
    IN_MEMORY(values);
    for (int t = 0; t < tiles; t++) {
      const char *x = tile_of(&g, t);
      const float *scales = (const float *)(x + 32 * r);
      IN_MEMORY(sum[t]);
      start(dot, r, (const int32_t *)(scales + r));
#pragma GCC unroll 8
      for (int s = 0; s < 8; s++) {
        const __m256i *v = values[s % bits];
        multiply_rows(dots, x + 4 * s * r, r, bits == 8 ? v[0] : four_bits(v[0], s / 4),
                      bits == 8 ? v[1] : four_bits(v[1], s / 4), dot);
        if (s < (bits == 8 ? 8 : 5))
          fetch_ahead(&a);
      }
      if (bits == 8)
        fetch_ahead(&a);
      scale(&sum[t], dot, r, d, scales);
    }
  }
  put_tiles(&g, sum, r, y, stride);
}

#define TARGET AVX2
#define EACH_ROWS QGEMM_ROWS_6
#define Q4_0 multiply_32, 4
#define Q8_0 multiply_32, 8
#include "qgemm_few_kernels.h"

static int most(int type, bool interleaved) {
  if (!qgemm_few_takes(type, interleaved))
    return 0;
  return type == qgemm_q6_k ? 6 : 16; // as for AVX2; Q8_0's bytes are taken as they are
}

const qgemm_few qgemm_avxvnni_few = {most_rows, few_tiles, most,
                                     qgemm_few_slots, pack_rows, multiply};
#endif
