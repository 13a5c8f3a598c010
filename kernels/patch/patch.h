#ifndef EYELET_PATCH_H
#define EYELET_PATCH_H

#include "../../cgo/onednn/primitive.h"

#include <stdint.h>

// The patch embedding of a tower, planned.
typedef struct {
  int side;        // pixels of a tile's row
  int patch;       // pixels of a patch's row
  int across;      // patches of a tile's row
  int hidden;
  int rows;        // of a tile: patches, and one for the class token if there is one
  int class_row;   // where it stands, -1 for none
  int first;       // row of the first patch
  int block;       // patches of a block
  int bf16;        // operands are bfloat16
  int16_t *centre; // 3 * patch: what is subtracted from each byte of a patch's row of pixels
  const eyelet_matmul *product;
  const void *packed;
  const float *bias, *class_token, *positions; // rows * hidden
  int threads;
  char *scratch;
  size_t scratch_bytes; // of a thread
} patch_embedding;

// patch_run computes x, tiles * rows * hidden, of tiles of side * side RGB pixels. It is one OpenMP parallel region and returns the first
// failure of a product, or dnnl_success.
int patch_run(const patch_embedding *e, const uint8_t *pixels, int tiles, float *x);

// patch_scratch returns the bytes of scratch memory that a thread needs.
size_t patch_scratch(const patch_embedding *e);

#endif
