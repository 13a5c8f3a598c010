// How tiles and panels lie in memory for instructions that multiply bytes without sign with bytes
// with sign and add them up in 32 bits, four by four: those of AVX-512 VNNI and of AVX-VNNI. They
// lie as in qgemm_avx2.h, but values of 8 bits with sign are stored without, 128 higher, as
// qgemm_bytes; and where all values of a type are stored higher, sums start from what takes that
// away again.
#ifndef EYELET_QGEMM_DOTS_H
#define EYELET_QGEMM_DOTS_H

#include "qgemm_avx2.h"

// The functions of qgemm_kernels.
qgemm_shape qgemm_dots_shape(int type);
void qgemm_dots_pack_rows(int type, char *tile, const float *x, size_t stride, int r,
                          int64_t pieces);
void qgemm_dots_pack_panel(int type, char *panel, const char *const *rows, int64_t first,
                           int64_t pieces);

#endif
