#include "measure.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "accel.h"
#include "choice.h"
#include "cpu.h"
#include "product.h"

namespace eyelet {
namespace {

static_assert(eyelet_accel_paths == paths + 1 && eyelet_accel_steps == row_steps, "accel.h and product.h disagree");

// The width of a row, a multiple of every block size.
constexpr int64_t width = 2048;

// A single row of activations is bound by reading the weights: those must not fit into a cache. More rows get fewer weights, so that no
// measurement takes long.
int64_t weight_rows(int step) { return step == 0 ? 16384 : 1024; }

// A path that took more than this many times what the fastest took is not timed again.
constexpr double hopeless = 1.5;

// best returns the nanoseconds of the fastest of a few runs of f after one that warms up, 0 if it fails. least is the best of all paths so
// far, 0 if there is none.
template <class F>
double best(double least, F f) {
  double fastest = 0;
  if (!f()) return 0;
  for (int i = 0; i < 3; i++) {
    const auto start = std::chrono::steady_clock::now();
    if (!f()) return 0;
    const double took = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    if (fastest == 0 || took < fastest) fastest = took;
    if (least > 0 && fastest > hopeless * least) break;
  }
  return fastest;
}

// random fills v with numbers of about the size of activations.
void random(std::vector<float> &v) {
  uint32_t state = 1;
  for (float &x : v) {
    state = state * 1664525 + 1013904223;
    x = static_cast<float>(static_cast<int32_t>(state)) / (1u << 31);
  }
}

// weights returns rows of a type: one row of random numbers, again and again.
std::vector<char> weights(ggml_type type, int64_t rows) {
  const size_t bytes = ggml_row_size(type, width);
  std::vector<char> all(bytes * rows);
  std::vector<float> row(width);
  random(row);
  if (type == GGML_TYPE_F32) {
    std::memcpy(all.data(), row.data(), bytes);
  } else if (!ggml_quantize_requires_imatrix(type)) {
    ggml_quantize_chunk(type, row.data(), all.data(), 0, 1, width, nullptr);
  }
  for (int64_t i = 1; i < rows; i++) std::memcpy(&all[i * bytes], all.data(), bytes);
  return all;
}

// by_ggml measures the CPU backend with weights in buffers of a type.
double by_ggml(ggml_backend_buffer_type_t buffers, const Product &p, int threads, double least) {
  Owned<ggml_backend> cpu(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  auto set_threads = cpu_function<ggml_backend_set_n_threads_t>("ggml_backend_set_n_threads");
  if (!cpu || !set_threads) return 0;
  set_threads(cpu.get(), threads);
  const ggml_init_params params = {16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true};
  Owned<ggml_context> of_weights(ggml_init(params)), of_rest(ggml_init(params));
  if (!of_weights || !of_rest) return 0;
  ggml_tensor *a = ggml_new_tensor_2d(of_weights.get(), p.type, p.k, p.n);
  ggml_tensor *b = ggml_new_tensor_2d(of_rest.get(), GGML_TYPE_F32, p.k, p.m);
  ggml_tensor *c = ggml_mul_mat(of_rest.get(), a, b);
  ggml_cgraph *graph = ggml_new_graph(of_rest.get());
  ggml_build_forward_expand(graph, c);
  Owned<ggml_backend_buffer> buffer(ggml_backend_alloc_ctx_tensors_from_buft(of_weights.get(), buffers));
  Owned<ggml_backend_buffer> rest(ggml_backend_alloc_ctx_tensors_from_buft(of_rest.get(), ggml_backend_cpu_buffer_type()));
  if (!buffer || !rest || !ggml_backend_supports_op(cpu.get(), c)) return 0;
  // Buffers that repack leave the types that they cannot repack alone, and a product of those is not theirs.
  if (buffers != ggml_backend_cpu_buffer_type() && !a->extra) return 0;
  ggml_backend_tensor_set(a, p.w, 0, p.n * p.w_stride);
  ggml_backend_tensor_set(b, p.x, 0, p.m * p.x_stride * sizeof(float));
  return best(least, [&] { return ggml_backend_graph_compute(cpu.get(), graph) == GGML_STATUS_SUCCESS; });
}

// by_ggml_repacked measures the CPU backend with weights in the first of its buffer types that repacks them.
double by_ggml_repacked(const Product &p, int threads, double least) {
  double took = 0;
  find_extra_buffers([&](ggml_backend_buffer_type_t type) { return (took = by_ggml(type, p, threads, least)) > 0; });
  return took;
}

}  // namespace

bool measure(int number, int step, int threads, double *nanoseconds) {
  const ggml_type type = static_cast<ggml_type>(number);
  if (number < 0 || number >= GGML_TYPE_COUNT || step < 0 || step >= row_steps || threads < 1 || ggml_blck_size(type) <= 0 ||
      width % ggml_blck_size(type) != 0 || !can_run(Path::onednn_f32, type, Layout::rows, 1, width))
    return false;
  const int64_t m = int64_t{1} << step, n = weight_rows(step);
  const std::vector<char> w = weights(type, n);
  std::vector<float> x(m * width), y(m * n);
  random(x);
  const Product p = {type, m, n, width, w.data(), ggml_row_size(type, width), x.data(), width, y.data(), static_cast<size_t>(n), Layout::rows, false};
  double least = 0;
  const auto keep = [&](int i, double took) {
    nanoseconds[i] = took;
    if (took > 0 && (least == 0 || took < least)) least = took;
  };
  for (int i = 0; i < paths; i++) nanoseconds[i] = 0;
  for (const Path path : {Path::integers, Path::onednn_bf16, Path::floats, Path::onednn_f32})
    if (m >= least_rows && can_run(path, type, Layout::rows, n, width))
      keep(static_cast<int>(path), best(least, [&] { return run(path, &p, 1, threads); }));
  keep(0, by_ggml(ggml_backend_cpu_buffer_type(), p, threads, least));
  keep(paths, by_ggml_repacked(p, threads, least));
  return true;
}

}  // namespace eyelet
