// Matrix products of a graph, cut into products of two-dimensional matrices.
#include "ops.h"

#include <cstring>
#include <vector>

#include "attention.h"
#include "choice.h"
#include "product.h"

namespace eyelet {
namespace {

// Rows of a source that can be read as they lie: their elements stand one after the other, and strides are whole elements.
bool rows_are_dense(const ggml_tensor *t) { return t->nb[0] == ggml_type_size(t->type); }

bool floats_are_aligned(const ggml_tensor *t) {
  return t->nb[0] == sizeof(float) && t->nb[1] % sizeof(float) == 0 && t->nb[2] % sizeof(float) == 0 && t->nb[3] % sizeof(float) == 0;
}

bool has_elements(const ggml_tensor *t) { return t->ne[0] > 0 && t->ne[1] > 0 && t->ne[2] > 0 && t->ne[3] > 0; }

// Sources in buffers that ggml repacks weights in have a layout of their own; ggml itself does not ask another backend for those.
bool sources_fit(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *x = op->src[1];
  return w && x && x->type == GGML_TYPE_F32 && op->type == GGML_TYPE_F32 && rows_are_dense(w) && floats_are_aligned(x) &&
         floats_are_aligned(op) && has_elements(op) && has_elements(w) && has_elements(x);
}

// The matrices of a MUL_MAT that are multiplied one by one, and the rows of each. Heads of a query that share a matrix of keys, one after
// the other in memory, are one product.
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

// Graphs may ask that nothing is rounded to fewer bits than float32 has, as those of attention do whose scores would overflow.
Path exact(Path path, const ggml_tensor *op) {
  return path == Path::onednn_bf16 && op->op_params[0] == GGML_PREC_F32 ? Path::onednn_f32 : path;
}

Path choose_mul_mat(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0];
  const Batch b = batch_of(op);
  return exact(choose(w->type, b.rows, w->ne[1], w->ne[0], b.inner * b.outer), op);
}

bool compute_mul_mat(ggml_tensor *op, int threads) {
  const ggml_tensor *w = op->src[0], *x = op->src[1];
  const Batch b = batch_of(op);
  const int64_t step = x->ne[2] / b.inner; // planes of x in a product
  std::vector<Product> products;
  products.reserve(b.inner * b.outer);
  for (int64_t i3 = 0; i3 < b.outer; i3++) {
    for (int64_t i2 = 0; i2 < x->ne[2]; i2 += step) {
      const int64_t w2 = i2 * w->ne[2] / x->ne[2], w3 = i3 * w->ne[3] / x->ne[3];
      products.push_back({w->type, b.rows, w->ne[1], w->ne[0], static_cast<const char *>(w->data) + w2 * w->nb[2] + w3 * w->nb[3], w->nb[1],
                          reinterpret_cast<const float *>(static_cast<const char *>(x->data) + i2 * x->nb[2] + i3 * x->nb[3]),
                          x->nb[1] / sizeof(float),
                          reinterpret_cast<float *>(static_cast<char *>(op->data) + i2 * op->nb[2] + i3 * op->nb[3]),
                          op->nb[1] / sizeof(float)});
    }
  }
  return run(choose_mul_mat(op), products.data(), products.size(), threads);
}

// A MUL_MAT_ID multiplies each row of x with the matrix of the expert that the router chose for it. How many rows an expert gets is known
// when it is computed; before, only their mean.
Path choose_mul_mat_id(const ggml_tensor *op) {
  const ggml_tensor *w = op->src[0], *ids = op->src[2];
  const int64_t rows = ids->ne[0] * ids->ne[1], mean = (rows + w->ne[2] - 1) / w->ne[2];
  return exact(choose(w->type, mean, w->ne[1], w->ne[0], w->ne[2]), op);
}

// One row of x that an expert gets: where it comes from, where its product goes.
struct Routed {
  const float *x;
  float *y;
};

bool compute_mul_mat_id(ggml_tensor *op, int threads) {
  const ggml_tensor *w = op->src[0], *x = op->src[1], *ids = op->src[2];
  const int64_t experts = w->ne[2], k = w->ne[0], n = w->ne[1];
  std::vector<std::vector<Routed>> routed(experts);
  for (int64_t token = 0; token < ids->ne[1]; token++) {
    for (int64_t slot = 0; slot < ids->ne[0]; slot++) {
      int32_t expert;
      std::memcpy(&expert, static_cast<const char *>(ids->data) + slot * ids->nb[0] + token * ids->nb[1], sizeof expert);
      if (expert < 0 || expert >= experts) return false;
      routed[expert].push_back(
          {reinterpret_cast<const float *>(static_cast<const char *>(x->data) + slot % x->ne[1] * x->nb[1] + token * x->nb[2]),
           reinterpret_cast<float *>(static_cast<char *>(op->data) + slot * op->nb[1] + token * op->nb[2])});
    }
  }
  const Path path = choose_mul_mat_id(op);
  std::vector<float> gathered, result;
  for (int64_t e = 0; e < experts; e++) {
    const auto &rows = routed[e];
    const int64_t m = static_cast<int64_t>(rows.size());
    if (m == 0) continue;
    gathered.resize(m * k);
    result.resize(m * n);
    for (int64_t i = 0; i < m; i++) std::memcpy(&gathered[i * k], rows[i].x, k * sizeof(float));
    const Product p = {w->type,         m, n, k, static_cast<const char *>(w->data) + e * w->nb[2], w->nb[1],
                       gathered.data(), static_cast<size_t>(k), result.data(), static_cast<size_t>(n)};
    if (!run(path, &p, 1, threads)) return false;
    for (int64_t i = 0; i < m; i++) std::memcpy(rows[i].y, &result[i * n], n * sizeof(float));
  }
  return true;
}

}  // namespace

bool takes(const ggml_tensor *op) {
  switch (op->op) {
    case GGML_OP_NONE:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE: return true;  // nothing to compute
    case GGML_OP_MUL_MAT: return sources_fit(op) && choose_mul_mat(op) != Path::ggml;
    case GGML_OP_MUL_MAT_ID:
      return sources_fit(op) && op->src[2] && op->src[2]->type == GGML_TYPE_I32 && has_elements(op->src[2]) &&
             choose_mul_mat_id(op) != Path::ggml;
    case GGML_OP_FLASH_ATTN_EXT: return choose_attention(op);
    default: return false;
  }
}

bool compute(ggml_tensor *op, int threads) {
  switch (op->op) {
    case GGML_OP_MUL_MAT: return compute_mul_mat(op, threads);
    case GGML_OP_MUL_MAT_ID: return compute_mul_mat_id(op, threads);
    case GGML_OP_FLASH_ATTN_EXT: return eyelet_attention_run(op, threads);
    default: return true;
  }
}

}  // namespace eyelet
