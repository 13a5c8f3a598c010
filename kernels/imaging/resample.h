// The two passes of the resampler in C, one pair a set of instructions. resample_kernel.go says
// what a pass is; the results equal those of the passes in Go bit for bit.
#ifndef EYELET_RESAMPLE_H
#define EYELET_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A horizontal pass makes n pixels of each of `rows` rows. first[i] is the first source pixel of
// output pixel i, weights holds 4*blocks packed weights each, bias the four sums that the three
// channels of a pixel (and one more) start from. Source rows are read in steps of 16 bytes: up to 4
// bytes past the last pixel with a weight. Nothing past pixel n of a row is written.
void eyelet_resample_rows_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                               size_t src_stride, size_t rows, const int32_t *first,
                               const int32_t *weights, size_t blocks, const int32_t *bias,
                               size_t n);
void eyelet_resample_rows_avx512(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                 size_t src_stride, size_t rows, const int32_t *first,
                                 const int32_t *weights, size_t blocks, const int32_t *bias,
                                 size_t n);

// A vertical pass makes `outputs` rows of `bytes` bytes. src holds `rows` source rows, from row lo
// on; a weight beyond them is zero. outside[i] is the weight of the row `beyond` in output row i.
void eyelet_resample_columns_avx2(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                  size_t src_stride, size_t lo, size_t rows, const int32_t *first,
                                  const int32_t *weights, size_t blocks, const uint8_t *beyond,
                                  const int32_t *outside, size_t outputs, size_t bytes);
void eyelet_resample_columns_avx512(uint8_t *dst, size_t dst_stride, const uint8_t *src,
                                    size_t src_stride, size_t lo, size_t rows, const int32_t *first,
                                    const int32_t *weights, size_t blocks, const uint8_t *beyond,
                                    const int32_t *outside, size_t outputs, size_t bytes);

#endif
