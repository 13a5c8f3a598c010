// Matrix products as the accelerator sees them, and the ways it has of computing one.
#ifndef EYELET_ACCEL_PRODUCT_H
#define EYELET_ACCEL_PRODUCT_H

#include "matrices.h"

namespace eyelet {

// How rows of weights lie in memory.
enum class Layout {
  rows,
  interleaved,  // 8 at a time, as ggml's CPU backend repacks them (repack.h)
};

struct Product : eyelet_matrices {
  // what stands at w stays the same as long as a context or projector computes with it
  bool constant;
};

// A way of computing products. The numbers stand in calibration files.
enum class Path {
  ggml = 0,       // not here: ggml's CPU backend
  integers = 1,   // quantized weights times rounded activations (qgemm.h)
  floats = 2,     // F16, BF16 and F32 weights, converted in registers (fgemm.h)
  onednn_f32 = 3, // any weights, converted a block of rows at a time, and oneDNN's kernels
  onednn_bf16 = 4,
};
constexpr int paths = 5;

const char *name_of(Path path);

// The longest rows that are taken. All paths can: integer sums go over 256 numbers at most before
// they become floats, and memory is bounded.
constexpr int64_t most_depth = int64_t{1} << 18;

// can_run tells whether a path takes products of such weights on this processor.
bool can_run(Path path, ggml_type type, Layout layout, int64_t n, int64_t k);

// run computes products that share everything but addresses, on a team of threads. One call at a
// time. It returns false when memory is short or oneDNN has no kernel; what then stands in y is
// undefined.
bool run(Path path, const Product *products, size_t count, int threads);

// run_plain computes any product that a path can run, slowly and without taking memory.
void run_plain(const Product &p, int threads);

// release_scratch frees what run keeps between calls.
void release_scratch();

// kept_scratch returns how many bytes that is, without what oneDNN itself keeps for its kernels.
size_t kept_scratch();

// The part of run that oneDNN computes (onednn.cc).
bool onednn_has_bf16();
bool run_onednn(bool bf16, const Product *products, size_t count, int threads);
void release_onednn();
size_t kept_by_onednn();

// to_floats converts n numbers of a row, which starts at a block of its type.
void to_floats(ggml_type type, const void *from, float *to, int64_t n);

}  // namespace eyelet
#endif
