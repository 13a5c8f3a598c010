// The inner loops of float32 products, which attention uses too.
//
// All of them know matrices in two forms: rows, at any stride, and panels. A panel is `width`
// columns of numbers that lie side by side: number k of column c is panel[k * width + c]. The
// product of some rows a and a panel b is a panel again:
//
//	c[r][column] = sum over k of a[r][k] * b[k][column]
//
// so the vectors of the processor hold columns, and numbers of rows are broadcast to them. Nothing
// has to be added up across a vector.
#ifndef EYELET_FGEMM_PARTS_H
#define EYELET_FGEMM_PARTS_H

#include "fgemm.h"

enum { fgemm_max_width = 32 };

typedef struct {
  const char *name;
  int width; // of a panel
  int rows;  // that a product should best take at a time
  // The product of n rows and a panel over k numbers. Adds to c, or sets it.
  void (*multiply)(const float *a, size_t stride, int64_t n, const float *b, int64_t k, float *c,
                   bool add);
  // dst[c][r] = src[r][c].
  void (*transpose)(float *dst, size_t dst_stride, const float *src, size_t src_stride,
                    int64_t rows, int64_t columns);
  void (*widen_f16)(float *dst, const uint16_t *src, int64_t n);
  void (*widen_bf16)(float *dst, const uint16_t *src, int64_t n);
} fgemm_kernels;

extern const fgemm_kernels fgemm_plain;
#if defined(__x86_64__) && defined(__GNUC__)
#define FGEMM_X86 1
extern const fgemm_kernels fgemm_avx2, fgemm_avx512;
// For panels that have 8 columns to fill: each is computed to the same bits as by the others.
extern const fgemm_kernels fgemm_avx2_narrow;
#endif

// The kernels in use.
const fgemm_kernels *fgemm_chosen(void);

// Packs n rows of k numbers into a panel; columns that have no row are zeros.
void fgemm_pack(const fgemm_kernels *f, float *panel, const float *x, size_t stride, int64_t n,
                int64_t k);

// Whether numbers of a type can be converted to float32.
bool fgemm_widens(enum ggml_type type);

// Converts n numbers of such a type, of whole blocks.
void fgemm_widen(const fgemm_kernels *f, enum ggml_type type, float *dst, const void *src,
                 int64_t n);

// Memory that is kept from call to call and grows. It lies on a cache line.
typedef struct {
  void *base;
  size_t bytes;
} fgemm_scratch;

// Returns at least so many bytes, NULL if there are none.
void *fgemm_take(fgemm_scratch *s, size_t bytes);
void fgemm_release(fgemm_scratch *s);

#endif
