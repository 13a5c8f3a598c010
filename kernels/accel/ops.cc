// Matrix products of a graph, cut into products of two-dimensional matrices.
#include "ops.h"

#include <atomic>
#include <cstring>
#include <vector>

#include "attention.h"
#include "choice.h"
#include "product.h"
#include "repack.h"

namespace eyelet {
namespace {

std::atomic<bool> starved{false};

// The largest dimension of a tensor that is taken: products of two fit into 64 bits with room to
// spare.
constexpr int64_t most_elements = int64_t{1} << 31;

// Rows that can be read as they lie: their elements stand one after the other, rows do not overlap,
// and all begin where their type may.
bool has_rows(const ggml_tensor *t) {
  const size_t unit = t->type == GGML_TYPE_F32 || t->type == GGML_TYPE_I32 ? 4
                      : ggml_type_size(t->type) % 2 == 0                   ? 2
                                                                           : 1;
  if (t->nb[0] != ggml_type_size(t->type) || t->view_offs % unit != 0) return false;
  for (int i = 0; i < 4; i++)
    if (t->ne[i] < 1 || t->ne[i] > most_elements || t->nb[i] % unit != 0) return false;
  return t->nb[1] >= ggml_row_size(t->type, t->ne[0]) || t->ne[1] == 1;
}

const ggml_tensor *root_of(const ggml_tensor *t) { return t->view_src ? t->view_src : t; }

// overlap tells whether two tensors may share memory: both are views of one, or lie so already.
bool overlap(const ggml_tensor *a, const ggml_tensor *b) {
  if (root_of(a) == root_of(b)) return true;
  if (!a->data || !b->data) return false;
  const char *from_a = static_cast<const char *>(a->data),
             *from_b = static_cast<const char *>(b->data);
  return from_a < from_b + ggml_nbytes(b) && from_b < from_a + ggml_nbytes(a);
}

// Results are written while sources are still read.
bool stands_apart(const ggml_tensor *op) {
  for (const ggml_tensor *source : op->src)
    if (source && overlap(op, source)) return false;
  return true;
}

bool sources_fit(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *x = op->src[1];
  return w && x && x->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 && has_rows(w) &&
         has_rows(x) && has_rows(op) && stands_apart(op);
}

// The matrices of a MUL_MAT that are multiplied one by one, and the rows of each. Heads of a query
// that share a matrix of keys, one after the other in memory, are one product.
struct Batch {
  int64_t rows, inner, outer;
};

Batch batch_of(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *x = op->src[1];
  const int64_t share = x->ne[2] / w->ne[2];
  Batch b = {x->ne[1], x->ne[2], x->ne[3]};
  if (share > 1 && x->nb[2] == x->ne[1] * x->nb[1] && op->nb[2] == op->ne[1] * op->nb[1]) {
    b.rows *= share;
    b.inner /= share;
  }
  return b;
}

// Graphs may ask that nothing is rounded to fewer bits than float32 has, as those of attention do
// whose scores would overflow.
Path exact(Path path, const ggml_tensor *op) {
  return path == Path::onednn_bf16 && op->op_params[0] == GGML_PREC_F32 ? Path::onednn_f32 : path;
}

Path choose_mul_mat(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0];
  const Batch b = batch_of(op);
  Layout layout;
  if (!layout_of(w, &layout)) return Path::ggml;
  return exact(choose(w->type, layout, b.rows, w->ne[1], w->ne[0], b.inner * b.outer), op);
}

// Weights of a model stay as they are until it is closed.
bool is_constant(const ggml_tensor *w) {
  ggml_backend_buffer_t buffer = w->view_src ? w->view_src->buffer : w->buffer;
  return buffer && ggml_backend_buffer_get_usage(buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

Product product_of(const ggml_tensor *w, Layout layout, int64_t w2, int64_t w3, int64_t rows,
                   const float *x, size_t x_bytes, float *y, size_t y_bytes) {
  const char *matrix = static_cast<const char *>(w->data) + w2 * w->nb[2] + w3 * w->nb[3];
  return {{w->type, rows, w->ne[1], w->ne[0], matrix, w->nb[1], x, x_bytes / sizeof(float), y,
           y_bytes / sizeof(float), layout == Layout::interleaved},
          is_constant(w)};
}

const float *numbers(const ggml_tensor *t, int64_t i1, int64_t i2, int64_t i3) {
  return reinterpret_cast<const float *>(static_cast<const char *>(t->data) + i1 * t->nb[1] +
                                         i2 * t->nb[2] + i3 * t->nb[3]);
}

float *numbers(ggml_tensor *t, int64_t i1, int64_t i2, int64_t i3) {
  return const_cast<float *>(numbers(static_cast<const ggml_tensor *>(t), i1, i2, i3));
}

// each_product calls f with the products of a MUL_MAT.
template <class F>
void each_product(ggml_tensor *op, Layout layout, F f) {
  const ggml_tensor *w = op->src[0], *x = op->src[1];
  const Batch b = batch_of(op);
  const int64_t step = x->ne[2] / b.inner;  // planes of x in a product
  for (int64_t i3 = 0; i3 < b.outer; i3++)
    for (int64_t i2 = 0; i2 < x->ne[2]; i2 += step)
      f(product_of(w, layout, i2 * w->ne[2] / x->ne[2], i3 * w->ne[3] / x->ne[3], b.rows,
                   numbers(x, 0, i2, i3), x->nb[1], numbers(op, 0, i2, i3), op->nb[1]));
}

// or_any returns a path that is not ggml's: what was measured may have changed since the operation
// was taken, and it has to be computed.
Path or_any(Path path, const ggml_tensor *op, Layout layout) {
  const ggml_tensor *w = op->src[0];
  return path != Path::ggml ? path : exact(first_path(w->type, layout, w->ne[1], w->ne[0]), op);
}

void compute_mul_mat(ggml_tensor *op, int threads) {
  Layout layout = Layout::rows;
  layout_of(op->src[0], &layout);
  bool ok = false;
  try {
    std::vector<Product> products;
    each_product(op, layout, [&](const Product &p) { products.push_back(p); });
    ok = !starved &&
         run(or_any(choose_mul_mat(op), op, layout), products.data(), products.size(), threads);
  } catch (const std::bad_alloc &) {
  }
  if (!ok) each_product(op, layout, [&](const Product &p) { run_plain(p, threads); });
}

// A MUL_MAT_ID multiplies each row of x with the matrix of the expert that the router chose for it.
// How many rows an expert gets is known when it is computed; before, only their mean.
Path choose_mul_mat_id(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *ids = op->src[2];
  const int64_t rows = ids->ne[0] * ids->ne[1], mean = (rows + w->ne[2] - 1) / w->ne[2];
  Layout layout;
  if (!layout_of(w, &layout)) return Path::ggml;
  return exact(choose(w->type, layout, mean, w->ne[1], w->ne[0], w->ne[2]), op);
}

// One row of x that an expert gets: where it comes from, where its product goes.
struct Routed {
  const float *x;
  float *y;
};

// each_routed calls f with the expert of each row of a MUL_MAT_ID, and the row. False if there is
// no such expert.
template <class F>
bool each_routed(ggml_tensor *op, F f) {
  const ggml_tensor *w = op->src[0], *x = op->src[1], *ids = op->src[2];
  for (int64_t token = 0; token < ids->ne[1]; token++)
    for (int64_t slot = 0; slot < ids->ne[0]; slot++) {
      int32_t expert;
      std::memcpy(&expert,
                  static_cast<const char *>(ids->data) + slot * ids->nb[0] + token * ids->nb[1],
                  sizeof expert);
      if (expert < 0 || expert >= w->ne[2]) return false;
      f(expert, Routed{numbers(x, slot % x->ne[1], token, 0), numbers(op, slot, token, 0)});
    }
  return true;
}

bool run_experts(ggml_tensor *op, Layout layout, int threads) {
  const ggml_tensor *w = op->src[0];
  const int64_t k = w->ne[0], n = w->ne[1];
  std::vector<std::vector<Routed>> routed(w->ne[2]);
  each_routed(op, [&](int32_t expert, Routed r) { routed[expert].push_back(r); });
  const Path path = or_any(choose_mul_mat_id(op), op, layout);
  std::vector<float> gathered, result;
  for (int64_t e = 0; e < w->ne[2]; e++) {
    const auto &rows = routed[e];
    const int64_t m = static_cast<int64_t>(rows.size());
    if (m == 0) continue;
    gathered.resize(m * k);
    result.resize(m * n);
    for (int64_t i = 0; i < m; i++) std::memcpy(&gathered[i * k], rows[i].x, k * sizeof(float));
    const Product p = product_of(w, layout, e, 0, m, gathered.data(), k * sizeof(float),
                                 result.data(), n * sizeof(float));
    if (!run(path, &p, 1, threads)) return false;
    for (int64_t i = 0; i < m; i++) std::memcpy(rows[i].y, &result[i * n], n * sizeof(float));
  }
  return true;
}

bool compute_mul_mat_id(ggml_tensor *op, int threads) {
  const ggml_tensor *w = op->src[0];
  Layout layout = Layout::rows;
  layout_of(w, &layout);
  if (!each_routed(op, [](int32_t, Routed) {})) return false;
  bool ok = false;
  try {
    ok = !starved && run_experts(op, layout, threads);
  } catch (const std::bad_alloc &) {
  }
  if (!ok)
    each_routed(op, [&](int32_t expert, Routed r) {
      run_plain(product_of(w, layout, expert, 0, 1, r.x, 0, r.y, 0), threads);
    });
  return true;
}

bool fits_mul_mat(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *x = op->src[1];
  return sources_fit(op) && w->ne[0] == x->ne[0] && x->ne[2] % w->ne[2] == 0 &&
         x->ne[3] % w->ne[3] == 0 && op->ne[0] == w->ne[1] && op->ne[1] == x->ne[1] &&
         op->ne[2] == x->ne[2] && op->ne[3] == x->ne[3];
}

bool fits_mul_mat_id(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *x = op->src[1], *ids = op->src[2];
  return sources_fit(op) && ids && ids->type == GGML_TYPE_I32 && has_rows(ids) &&
         w->ne[0] == x->ne[0] && w->ne[3] == 1 && x->ne[3] == 1 && ids->ne[2] == 1 &&
         ids->ne[3] == 1 && ids->ne[1] == x->ne[2] && op->ne[0] == w->ne[1] &&
         op->ne[1] == ids->ne[0] && op->ne[2] == ids->ne[1];
}

}  // namespace

void starve(bool on) { starved = on; }

bool takes(const ggml_tensor *op) {
  switch (op->op) {
    case GGML_OP_NONE:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: return true;  // nothing to compute
    case GGML_OP_MUL_MAT: return fits_mul_mat(op) && choose_mul_mat(op) != Path::ggml;
    case GGML_OP_MUL_MAT_ID: return fits_mul_mat_id(op) && choose_mul_mat_id(op) != Path::ggml;
    case GGML_OP_FLASH_ATTN_EXT: return stands_apart(op) && choose_attention(op);
    default: return false;
  }
}

bool compute(ggml_tensor *op, int threads) {
  switch (op->op) {
    case GGML_OP_MUL_MAT: compute_mul_mat(op, threads); return true;
    case GGML_OP_MUL_MAT_ID: return compute_mul_mat_id(op, threads);
    case GGML_OP_FLASH_ATTN_EXT:
      if (starved || !eyelet_attention_run(op, threads, uniform() == eyelet_accel_many))
        eyelet_attention_run_plain(op, threads);
      return true;
    default: return true;
  }
}

}  // namespace eyelet
