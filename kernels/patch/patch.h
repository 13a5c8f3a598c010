#ifndef EYELET_PATCH_H
#define EYELET_PATCH_H

#include "../../cgo/onednn/primitive.h"

#include <stdint.h>

// The patch embedding of a tower, planned.
typedef struct {
  int patch;       // pixels of a patch's row
  int hidden;
  int block;       // patches of a block
  int bf16;        // operands are bfloat16
  int16_t *centre; // 3 * patch: what is subtracted from each byte of a patch's row of pixels
  const eyelet_matmul *product;
  const void *packed;
  const float *bias, *class_token;
  int threads;
  char *scratch;
  size_t scratch_bytes; // of a thread
} patch_embedding;

// How tiles of one size are cut into patches, and which rows these become.
typedef struct {
  int width, height;      // pixels of a tile
  int across;             // patches of a tile's row
  int patches;            // of a tile
  int rows;               // patches, and one for the class token if there is one
  int class_row;          // where it stands, -1 for none
  int first;              // row of the first patch
  // the number of each row's patch, counted along the tile's rows; NULL for that order
  const int32_t *order;
  const float *positions; // rows * hidden, added; NULL for none
} patch_grid;

// patch_run computes x, tiles * rows * hidden, of tiles of RGB pixels. It is one OpenMP parallel
// region and returns the first failure of a product, or dnnl_success.
int patch_run(const patch_embedding *e, const patch_grid *g, const uint8_t *pixels, int tiles,
              float *x);

// patch_scratch returns the bytes of scratch memory that a thread needs.
size_t patch_scratch(const patch_embedding *e);

#endif
