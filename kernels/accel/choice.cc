#include "choice.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "attention.h"
#include "qgemm.h"

namespace eyelet {
namespace {

// Not measured yet.
constexpr int8_t unknown = -1;

// Before anything is measured, products are taken from this many rows on.
constexpr int64_t rows_unmeasured = 64;

// Attention is taken from this many queries on, where blocks of them share the keys that they read.
// No measurement here came out the other way for as many.
constexpr int64_t queries_of_attention = 16;

// Fewer queries are taken where so many heads share keys that they fill half of a panel, or a
// quarter if there are several queries, which may be those of different answers and see nothing of
// each other's keys. With fewer keys than these, splits of the graph cost more than is gained. In
// plain C, quantized keys are converted more slowly than ggml multiplies them.
constexpr int64_t heads_of_one_query = 8, heads_of_queries = 4, keys_of_few_queries = 512;

// Products of fewer multiplications are not worth a split of the graph, which costs some 10 µs.
constexpr int64_t least_work = 1 << 20;

// The same for a product of few rows whatever their number, in weights; and for a single row, where
// reading them must take several times what a split does.
constexpr int64_t least_uniform = 1 << 18, least_single = 1 << 22;

struct Table {
  std::atomic<int8_t> path[2][GGML_TYPE_COUNT][row_steps];  // for each Layout
  Table() {
    for (auto &layout : path)
      for (auto &type : layout)
        for (auto &p : type) p = unknown;
  }
};

Table table;
std::atomic<bool> enabled{true};
std::atomic<int> forced_rows{0}, forced_path{0};
thread_local eyelet_accel_uniform uniform_rows = eyelet_accel_varied;

// The order in which paths are tried where nothing was measured.
constexpr Path preference[] = {Path::integers, Path::onednn_bf16, Path::floats, Path::onednn_f32};

Path choose_forced(ggml_type type, Layout layout, int64_t n, int64_t k) {
  const Path path = static_cast<Path>(forced_path.load(std::memory_order_relaxed));
  if (path == Path::ggml) return first_path(type, layout, n, k);
  return can_run(path, type, layout, n, k) ? path : Path::ggml;
}

int step_of(int64_t m) {
  int step = 0;
  while (step + 1 < row_steps && m >= int64_t{2} << step) step++;
  return step;
}

}  // namespace

Path first_path(ggml_type type, Layout layout, int64_t n, int64_t k) {
  for (Path path : preference)
    if (can_run(path, type, layout, n, k)) return path;
  return Path::ggml;
}

int few_rows() {
  const int most = eyelet_qgemm_least_few_rows(GGML_TYPE_COUNT);
  return most < queries_of_attention ? most : static_cast<int>(queries_of_attention) - 1;
}

namespace {

// What ggml computes row by row is as uniform as kernels of few rows are. It does so for what it
// has not repacked, but for types with blocks of 256 weights, of which it takes 8 rows otherwise.
Path choose_few(ggml_type type, Layout layout, int64_t n, int64_t k) {
  const bool repacked = layout == Layout::interleaved;
  const bool small = n * k < least_uniform && !repacked && ggml_blck_size(type) < 256;
  return eyelet_qgemm_few_rows(type, repacked) > 0 && !small &&
                 can_run(Path::integers, type, layout, n, k)
             ? Path::integers
             : Path::ggml;
}

}  // namespace

bool has_single(Path path, ggml_type type, Layout layout) {
  return path == Path::integers && eyelet_qgemm_few_rows(type, layout == Layout::interleaved) > 0;
}

Path choose(ggml_type type, Layout layout, int64_t m, int64_t n, int64_t k, int64_t count) {
  if (!enabled.load(std::memory_order_relaxed) || type < 0 || type >= GGML_TYPE_COUNT || m < 1)
    return Path::ggml;
  if (const int rows = forced_rows.load(std::memory_order_relaxed); rows > 0)
    return m >= rows ? choose_forced(type, layout, n, k) : Path::ggml;
  if (n < 16 || k < 16) return Path::ggml;
  if (uniform_rows == eyelet_accel_few && m <= few_rows()) return choose_few(type, layout, n, k);
  if (uniform_rows == eyelet_accel_many)
    m = int64_t{1} << (row_steps - 1);
  else if (static_cast<double>(m) * n * k * count < least_work)
    return Path::ggml;
  const int8_t known =
      table.path[static_cast<int>(layout)][type][step_of(m)].load(std::memory_order_relaxed);
  if (m < least_rows && (count > 1 || static_cast<double>(n) * k < least_single ||
                         !has_single(static_cast<Path>(known), type, layout)))
    return Path::ggml;
  if (known == unknown) return m >= rows_unmeasured ? first_path(type, layout, n, k) : Path::ggml;
  const Path path = static_cast<Path>(known);
  if (path == Path::ggml || can_run(path, type, layout, n, k)) return path;
  return first_path(type, layout, n, k);
}

bool choose_attention(const ggml_tensor *op) {
  if (!enabled.load(std::memory_order_relaxed) || !eyelet_attention_supports(op)) return false;
  const int64_t queries = op->src[0]->ne[1], group = op->src[0]->ne[2] / op->src[1]->ne[2];
  const int rows = forced_rows.load(std::memory_order_relaxed);
  const bool widens = eyelet_attention_has_vectors() || !ggml_is_quantized(op->src[1]->type);
  if (uniform_rows == eyelet_accel_few && rows <= 0 && queries <= few_rows()) return widens;
  if (uniform_rows == eyelet_accel_many || queries >= (rows > 0 ? rows : queries_of_attention))
    return true;
  return rows <= 0 && op->src[1]->ne[1] >= keys_of_few_queries &&
         group >= (queries > 1 ? heads_of_queries : heads_of_one_query) && widens;
}

void set_force(int rows, Path path) {
  forced_path = static_cast<int>(path);
  forced_rows = rows;
}

void set_enabled(bool on) { enabled = on; }

void set_uniform(eyelet_accel_uniform rows) { uniform_rows = rows; }

eyelet_accel_uniform uniform() { return uniform_rows; }

bool set_choice(int type, int step, bool repacked, int path) {
  if (type < 0 || type >= GGML_TYPE_COUNT || step < 0 || step >= row_steps || path < 0 ||
      path >= paths)
    return false;
  table.path[repacked][type][step] = static_cast<int8_t>(path);
  return true;
}

}  // namespace eyelet
