// Products by oneDNN: blocks of weight rows are converted to float32 or bfloat16 by the thread that
// multiplies them, so that a block is read from its own cache, and the cost of converting it is
// shared by all rows of x.
//
// Primitives are planned for one thread and the blocks handed out one by one: oneDNN's own
// splitting leaves threads idle for many shapes (577 x 1024 x 1024 stays on one).
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "../../cgo/onednn/level.h"
#include "onednn.h"
#include "onednn_parts.h"
#include "packed.h"
#include "product.h"

namespace eyelet {

dnnl_engine_t engine() {
  static dnnl_engine_t e = [] {
    dnnl_engine_t made = nullptr;
    eyelet_onednn_hold();
    return dnnl_engine_create(&made, dnnl_cpu, 0) == dnnl_success ? made : nullptr;
  }();
  return e;
}

namespace {

// m, n, k, strides of x and y, bf16, packed weights.
using Shape = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, bool, bool>;

// A product planned for one thread: x (m x k) times a block of n rows of weights, each of k
// numbers.
struct Plan {
  Primitive primitive;
  Desc x, w, y, scratch;
  size_t scratch_bytes = 0;
};

bool make(Plan &plan, const Shape &shape) {
  const auto [m, n, k, x_stride, y_stride, bf16, packed] = shape;
  const dnnl_data_type_t type = bf16 ? dnnl_bf16 : dnnl_f32;
  const dnnl_dims_t x_dims = {m, k}, w_dims = {k, n}, y_dims = {m, n};
  const dnnl_dims_t x_strides = {x_stride, 1}, w_strides = {1, k}, y_strides = {y_stride, 1};
  Attr attr;
  PrimitiveDesc desc;
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);  // oneDNN plans for as many as there are
  const bool ok =
      dnnl_memory_desc_create_with_strides(&plan.x.p, 2, x_dims, type, x_strides) == dnnl_success &&
      (packed ? dnnl_memory_desc_clone(&plan.w.p, packed_desc(n, k, bf16))
              : dnnl_memory_desc_create_with_strides(&plan.w.p, 2, w_dims, type, w_strides)) ==
          dnnl_success &&
      dnnl_memory_desc_create_with_strides(&plan.y.p, 2, y_dims, dnnl_f32, y_strides) ==
          dnnl_success &&
      dnnl_primitive_attr_create(&attr.p) == dnnl_success &&
      dnnl_primitive_attr_set_scratchpad_mode(attr.p, dnnl_scratchpad_mode_user) == dnnl_success &&
      dnnl_matmul_primitive_desc_create(&desc.p, engine(), plan.x.p, plan.w.p, nullptr, plan.y.p,
                                        attr.p) == dnnl_success &&
      dnnl_primitive_create(&plan.primitive.p, desc.p) == dnnl_success &&
      dnnl_memory_desc_clone(&plan.scratch.p,
                             dnnl_primitive_desc_query_md(desc.p, dnnl_query_scratchpad_md, 0)) ==
          dnnl_success;
  omp_set_num_threads(before);
  if (ok) plan.scratch_bytes = dnnl_memory_desc_get_size(plan.scratch.p);
  return ok;
}

// The memory of one thread.
struct Worker {
  Scratch weights, scratch;
  Stream stream;
};

// Plans are kept, up to eyelet_onednn_max_plans: prompts have many lengths, and a model a few
// shapes of weights for each. The one that was used longest ago makes room.
struct Kept {
  std::unique_ptr<Plan> plan;
  uint64_t used = 0;
};

struct State {
  std::map<Shape, Kept> plans;
  uint64_t uses = 0, made = 0;
  std::vector<std::unique_ptr<Worker>> workers;
  Scratch rounded;  // x as bfloat16
};

State &state() {
  static State s;
  return s;
}

// plan_for returns a plan that stays until as many others as are kept were asked for.
const Plan *plan_for(const Shape &shape) {
  State &s = state();
  auto found = s.plans.find(shape);
  if (found == s.plans.end()) {
    auto plan = std::make_unique<Plan>();
    if (!make(*plan, shape)) return nullptr;
    s.made++;
    if (s.plans.size() >= eyelet_onednn_max_plans)
      s.plans.erase(std::min_element(s.plans.begin(), s.plans.end(), [](auto &a, auto &b) {
        return a.second.used < b.second.used;
      }));
    found = s.plans.emplace(shape, Kept{std::move(plan), 0}).first;
  }
  found->second.used = ++s.uses;
  return found->second.plan.get();
}

bool execute(const Plan &plan, Worker &worker, const void *x, const void *w, float *y) {
  void *scratch = worker.scratch.reserve(plan.scratch_bytes + 64);
  Memory mx, mw, my, ms;
  if (!scratch ||
      dnnl_memory_create(&mx.p, plan.x.p, engine(), const_cast<void *>(x)) != dnnl_success ||
      dnnl_memory_create(&mw.p, plan.w.p, engine(), const_cast<void *>(w)) != dnnl_success ||
      dnnl_memory_create(&my.p, plan.y.p, engine(), y) != dnnl_success ||
      dnnl_memory_create(&ms.p, plan.scratch.p, engine(), scratch) != dnnl_success)
    return false;
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, mx.p},
                                  {DNNL_ARG_WEIGHTS, mw.p},
                                  {DNNL_ARG_DST, my.p},
                                  {DNNL_ARG_SCRATCHPAD, ms.p}};
  return eyelet_dnnl_execute(plan.primitive.p, worker.stream.p, 4, args) == dnnl_success;
}

void to_bf16(const float *from, uint16_t *to, int64_t n) {
  ggml_fp32_to_bf16_row(from, reinterpret_cast<ggml_bf16_t *>(to), n);
}

}  // namespace

const void *block_of(const Product &p, int64_t first, int64_t rows, bool bf16, Scratch &converted) {
  const size_t size = bf16 ? 2 : 4;
  const char *from = static_cast<const char *>(p.w) + first * p.w_stride;
  if (p.type == (bf16 ? GGML_TYPE_BF16 : GGML_TYPE_F32) && p.w_stride == p.k * size) return from;
  char *to = static_cast<char *>(converted.reserve(rows * p.k * size + p.k * sizeof(float)));
  if (!to) return nullptr;
  float *row = reinterpret_cast<float *>(to + rows * p.k * size);
  for (int64_t i = 0; i < rows; i++) {
    if (!bf16) {
      to_floats(p.type, from + i * p.w_stride, reinterpret_cast<float *>(to) + i * p.k, p.k);
      continue;
    }
    to_floats(p.type, from + i * p.w_stride, row, p.k);
    to_bf16(row, reinterpret_cast<uint16_t *>(to) + i * p.k, p.k);
  }
  return to;
}

int64_t block_rows(int64_t n, int64_t k, size_t count, int threads) {
  int64_t rows = 512 * 1024 / (k * 4) / 16 * 16;
  rows = rows < 32 ? 32 : rows > 256 ? 256 : rows;
  // Enough blocks that no thread waits long for the last one.
  while (rows > 32 && static_cast<int64_t>(count) * ((n + rows - 1) / rows) < 4 * threads)
    rows /= 2;
  return rows < n ? rows : n;
}

bool onednn_has_bf16() {
  constexpr unsigned bf16 = dnnl_cpu_isa_avx512_core_bf16;
  eyelet_onednn_hold();
  return (dnnl_get_effective_cpu_isa() & bf16) == bf16;
}

bool run_onednn(bool bf16, const Product *products, size_t count, int threads) {
  State &s = state();
  if (!engine() || count == 0) return false;
  const Product &p0 = products[0];
  while (static_cast<int>(s.workers.size()) < threads) {
    auto worker = std::make_unique<Worker>();
    if (dnnl_stream_create(&worker->stream.p, engine(), dnnl_stream_default_flags) != dnnl_success)
      return false;
    s.workers.push_back(std::move(worker));
  }
  uint16_t *rounded = nullptr;
  const int64_t all = static_cast<int64_t>(count) * p0.m;
  if (bf16) {
    rounded = static_cast<uint16_t *>(s.rounded.reserve(all * p0.k * 2 + 64));
    if (!rounded) return false;
  }

  const Packed *packed = count == 1 ? packed_weights(p0, bf16, threads) : nullptr;
  const int64_t rows = packed ? packed->rows : block_rows(p0.n, p0.k, count, threads),
                blocks = (p0.n + rows - 1) / rows;
  // Plans are made before the team starts: the map is shared. A block is as wide as all others, but
  // for the last of each product.
  const int64_t x_stride = bf16 ? p0.k : static_cast<int64_t>(p0.x_stride),
                y_stride = static_cast<int64_t>(p0.y_stride);
  const Plan *whole = plan_for({p0.m, rows, p0.k, x_stride, y_stride, bf16, packed != nullptr});
  const Plan *last =
      p0.n % rows == 0
          ? whole
          : plan_for({p0.m, p0.n % rows, p0.k, x_stride, y_stride, bf16, packed != nullptr});
  if (!whole || !last) return false;

  std::atomic<int64_t> next_row{0}, next{0};
  std::atomic<bool> ok{true};
  const int64_t total = static_cast<int64_t>(count) * blocks;
#pragma omp parallel num_threads(threads)
  {
    Worker &worker = *s.workers[omp_get_thread_num()];
    if (bf16) {
      for (int64_t r; (r = next_row.fetch_add(1)) < all;)
        to_bf16(products[r / p0.m].x + r % p0.m * p0.x_stride, rounded + r * p0.k, p0.k);
#pragma omp barrier
    }
    for (int64_t job; ok.load(std::memory_order_relaxed) && (job = next.fetch_add(1)) < total;) {
      const size_t i = job / blocks;
      const Product &p = products[i];
      const int64_t first = job % blocks * rows, here = first + rows <= p.n ? rows : p.n - first;
      const void *x = bf16 ? static_cast<const void *>(rounded + i * p.m * p.k) : p.x;
      const void *w = packed ? packed->blocks + first / rows * packed->block_bytes
                             : block_of(p, first, here, bf16, worker.weights);
      if (!w || !execute(here == rows ? *whole : *last, worker, x, w, p.y + first)) ok = false;
    }
  }
  return ok;
}

extern "C" uint64_t eyelet_onednn_plans_made(void) { return state().made; }

size_t kept_by_onednn() {
  size_t all = state().rounded.size() + kept_packed();
  for (const auto &worker : state().workers) all += worker->weights.size() + worker->scratch.size();
  return all;
}

void release_onednn() {
  State &s = state();
  s.plans.clear();
  s.workers.clear();
  s.rounded.release();
  release_packed();
}

}  // namespace eyelet
