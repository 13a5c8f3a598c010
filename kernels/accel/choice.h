// Which path computes a product: a table of measurements.
#ifndef EYELET_ACCEL_CHOICE_H
#define EYELET_ACCEL_CHOICE_H

#include "accel.h"
#include "product.h"

namespace eyelet {

// The numbers of rows (m) that are measured: 1, 2, 4 … 128. Above, the last one's winner stays.
constexpr int row_steps = 8;

// Products of so many rows have several paths of ours. A single row has the one that kernels of few
// rows are, if its type has those (has_single): it is bound by reading the weights.
constexpr int64_t least_rows = 2;

// has_single tells whether a path of ours can compute products of a single row.
bool has_single(Path path, ggml_type type, Layout layout);

// choose returns the path for count products of m rows that are computed at once, Path::ggml where
// the accelerator is to stay out. It may be called from several threads.
Path choose(ggml_type type, Layout layout, int64_t m, int64_t n, int64_t k, int64_t count);

// first_path returns the path that products are computed with where nothing was measured;
// Path::ggml only if no path can.
Path first_path(ggml_type type, Layout layout, int64_t n, int64_t k);

// choose_attention tells whether a GGML_OP_FLASH_ATTN_EXT is taken. Attention has a path of its own
// (attention.h).
bool choose_attention(const ggml_tensor *op);

// set_force makes choose take every product of at least rows rows that a path can run, whatever the
// table says; 0 ends that. The path is the one named, or the first that can.
void set_force(int rows, Path path);

// set_enabled switches the accelerator on or off for graphs that are made from now on.
void set_enabled(bool on);

// set_uniform makes choose and choose_attention decide without regard to the number of rows on the
// calling thread: as for the most, or, up to few_rows rows, as for few.
void set_uniform(eyelet_accel_uniform rows);

// uniform returns what set_uniform set on the calling thread.
eyelet_accel_uniform uniform();

// few_rows returns the rows that eyelet_accel_few is about: kernels of few rows take so many, and
// compute each to the same bits whatever the others are.
int few_rows();

// set_choice writes an entry of the table: what products of 2^step rows, up to twice as many, are
// computed with where weights are repacked or not. False if there is no such entry or path.
bool set_choice(int type, int step, bool repacked, int path);

}  // namespace eyelet
#endif
