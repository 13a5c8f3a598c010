// How tiles and panels lie in memory for AVX2's instructions, which multiply bytes without sign and
// bytes with sign (vpmaddubsw: two products are added up in 16 bits) or numbers of 16 bits
// (vpmaddwd: in 32 bits).
//
// A step of the inner loop takes 4 bytes along k of every row of a tile and of every column of a
// panel. In a piece of a tile of r rows, the bytes of a step lie row by row, 4 r of them, and the
// steps one after the other; in a piece of a panel there are 64 to a step.
#ifndef EYELET_QGEMM_AVX2_H
#define EYELET_QGEMM_AVX2_H

#include "qgemm_parts.h"

typedef enum {
  // Types with a scale and an offset for each 32 weights: w = scale * q - offset, q without sign. A
  // panel's piece is 8 steps, 16 scales, 16 offsets; a tile's is 8 steps, r scales, r sums of 32
  // activations.
  qgemm_bytes,
  // Types with a scale and values of 8 bits with sign, widened to 16. A panel's piece is 16 steps,
  // 16 scales; a tile's 16 steps, r scales. Of 4 numbers along k, the first and the third make a
  // step, and the others the next.
  qgemm_shorts,
  // Types with integer scales s and offsets m for each 16 or 32 of 256 weights: w = d * s * q - e *
  // m. A panel's piece is 64 steps; for each 16 or 32, twice the scale of 16 bits for each column;
  // for each two of these, two offsets of 16 bits for each column; 16 d; 16 e. A tile's piece is 64
  // steps; for each two 16s or 32s, two sums of activations of 16 bits for each row; r scales.
  qgemm_supers16,
  qgemm_supers32
} qgemm_layout;

// Where things are in a piece of a panel.
enum {
  qgemm_bytes_scales = 8 * 64,
  qgemm_bytes_offsets = qgemm_bytes_scales + 64,
  qgemm_shorts_scales = 16 * 64,
  qgemm_supers_scales = 64 * 64
};

static inline qgemm_layout qgemm_layout_of(int type) {
  switch (type) {
  case qgemm_q8_0:
  case qgemm_iq4_nl:
    return qgemm_shorts;
  case qgemm_q4_k:
  case qgemm_q5_k:
    return qgemm_supers32;
  case qgemm_q2_k:
  case qgemm_q3_k:
  case qgemm_q6_k:
    return qgemm_supers16;
  default:
    return qgemm_bytes;
  }
}

// Defines a kernel, qgemm_kernels.multiply of one product: ROWS is one of qgemm_parts.h, and behind
// NAME follow the product and its first arguments.
#define QGEMM_CASE(r, PRODUCT, ...)                                                                \
  case r: PRODUCT(__VA_ARGS__ __VA_OPT__(, ) tile, r, panel, pieces, y, stride, add); break;
#define QGEMM_KERNEL(TARGET, ROWS, NAME, ...)                                                      \
  TARGET static void NAME(const char *tile, int rows, const char *panel, int64_t pieces, float *y, \
                          size_t stride, bool add) {                                               \
    switch (rows) { ROWS(QGEMM_CASE, __VA_ARGS__) }                                                \
  }

void qgemm_avx2_pack_panel(int type, char *panel, const char *const *rows, int64_t first,
                           int64_t pieces);
void qgemm_avx2_pack_interleaved(int type, char *panel, const char *const groups[2], int64_t first,
                                 int64_t pieces);
void qgemm_avx2_pack_rows(int type, char *tile, const float *x, size_t stride, int r,
                          int64_t pieces);
// Packs tiles of types with blocks of 256 weights with steps of 8 bytes instead of 4.
void qgemm_avx2_pack_eights(int type, char *tile, const float *x, size_t stride, int r,
                            int64_t pieces);

// Packs weights of 8 bits with sign as qgemm_bytes without offsets, 128 higher.
void qgemm_avx2_pack_signed(int type, char *panel, const char *const *rows, int64_t first,
                            int64_t pieces);
// Packs a tile for blocks of 32 weights that are stored higher by center: as for qgemm_bytes, but
// where the sums are it has what the integer sums of products start from, so that nothing of what
// the center adds is left.
void qgemm_avx2_pack_centered(int center, char *tile, const float *x, size_t stride, int r,
                              int64_t pieces);

#endif
