// Products of few rows, which are bound by what it takes to read and unpack the weights: no
// panel is made, weights are unpacked in registers, while those of the next panel are fetched.
#ifndef EYELET_QGEMM_FEW_H
#define EYELET_QGEMM_FEW_H

#include "qgemm_parts.h"

// The weights of 16 columns of y, and what is to be fetched meanwhile.
typedef struct {
  int type;
  bool interleaved;
  const char *rows[qgemm_columns]; // or two groups of 8 interleaved rows
  const char *next;                // the first byte to be fetched
  size_t step; // bytes to fetch in each of qgemm_few.slots slots of a piece, at most 64
} qgemm_weights;

enum { qgemm_few_most = 24 }; // rows of x in tiles that are multiplied together, at most

typedef struct qgemm_few {
  int rows;  // of x in a tile, at most
  int tiles; // of as many rows each, at most, for which weights are unpacked once
  // Rows in all, up to which these kernels are the faster; 0 for a type that has none.
  int (*most)(int type, bool interleaved);
  // How many times something is fetched in a piece, at most.
  int (*slots)(int type);
  // As qgemm_kernels.pack_rows.
  void (*pack_rows)(int type, char *tile, const float *x, size_t stride, int r, int64_t pieces);
  // The product of tiles that lie one behind the other, of r rows each and so many pieces, and 16
  // columns. Sets y.
  void (*multiply)(const qgemm_weights *w, const char *tile, int tiles, int r, int64_t pieces,
                   float *y, size_t stride);
} qgemm_few;

#ifdef QGEMM_X86
extern const qgemm_few qgemm_vnni_few, qgemm_avxvnni_few, qgemm_avx2_few;

// Whether there is a kernel for a type, and what slots is, in all of them.
bool qgemm_few_takes(int type, bool interleaved);
int qgemm_few_slots(int type);
#endif

#endif
