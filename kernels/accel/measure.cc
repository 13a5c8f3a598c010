#include "measure.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <vector>

#include "accel.h"
#include "choice.h"
#include "cpu.h"
#include "product.h"

namespace eyelet {
namespace {

static_assert(eyelet_accel_paths == paths + 1 && eyelet_accel_steps == row_steps,
              "accel.h and product.h disagree");

// The width of a row, a multiple of every block size.
constexpr int64_t width = eyelet_accel_measured_width;

// A path that took more than this many times what the fastest took, in each of the first trials
// rounds, is not timed again. One round would not do: another program may have had the processor
// just then.
constexpr double hopeless = 2;
constexpr int trials = 2;

// random fills v with numbers of about the size of activations.
void random(std::vector<float> &v) {
  uint32_t state = 1;
  for (float &x : v) {
    state = state * 1664525 + 1013904223;
    x = static_cast<float>(static_cast<int32_t>(state)) / (1u << 31);
  }
}

// Weights are rows of a type: one row of random numbers, again and again. They lie in memory as
// those of a model do.
class Weights {
 public:
  bool make(ggml_type type, int64_t rows) {
    const size_t bytes = ggml_row_size(type, width);
    buffer_.reset(ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), bytes * rows));
    if (!buffer_) return false;
    std::vector<float> row(width);
    random(row);
    if (type == GGML_TYPE_F32) {
      std::memcpy(data(), row.data(), bytes);
    } else if (ggml_quantize_requires_imatrix(type)) {
      std::memset(data(), 0, bytes);
    } else {
      ggml_quantize_chunk(type, row.data(), data(), 0, 1, width, nullptr);
    }
    for (int64_t i = 1; i < rows; i++) std::memcpy(data() + i * bytes, data(), bytes);
    return true;
  }

  char *data() const { return static_cast<char *>(ggml_backend_buffer_get_base(buffer_.get())); }

 private:
  Owned<ggml_backend_buffer> buffer_;
};

// ByGGML is a product computed by the CPU backend, with weights in buffers of a type.
class ByGGML {
 public:
  // make returns false if the backend does not compute such a product, or not with weights in such
  // buffers.
  bool make(ggml_backend_buffer_type_t buffers, const Product &p, int threads) {
    cpu_.reset(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
    auto set_threads = cpu_function<ggml_backend_set_n_threads_t>("ggml_backend_set_n_threads");
    if (!cpu_ || !set_threads) return false;
    set_threads(cpu_.get(), threads);
    const ggml_init_params params = {16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr,
                                     true};
    of_weights_.reset(ggml_init(params));
    of_rest_.reset(ggml_init(params));
    if (!of_weights_ || !of_rest_) return false;
    ggml_tensor *a = ggml_new_tensor_2d(of_weights_.get(), p.type, p.k, p.n);
    ggml_tensor *b = ggml_new_tensor_2d(of_rest_.get(), GGML_TYPE_F32, p.k, p.m);
    ggml_tensor *c = ggml_mul_mat(of_rest_.get(), a, b);
    graph_ = ggml_new_graph(of_rest_.get());
    ggml_build_forward_expand(graph_, c);
    buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(of_weights_.get(), buffers));
    rest_.reset(
        ggml_backend_alloc_ctx_tensors_from_buft(of_rest_.get(), ggml_backend_cpu_buffer_type()));
    if (!buffer_ || !rest_ || !ggml_backend_supports_op(cpu_.get(), c)) return false;
    // Buffers that repack leave the types that they cannot repack alone, and a product of those is
    // not theirs.
    if (buffers != ggml_backend_cpu_buffer_type() && !a->extra) return false;
    ggml_backend_tensor_set(a, p.w, 0, p.n * p.w_stride);
    ggml_backend_tensor_set(b, p.x, 0, p.m * p.x_stride * sizeof(float));
    return run(); // which warms up
  }

  bool run() { return ggml_backend_graph_compute(cpu_.get(), graph_) == GGML_STATUS_SUCCESS; }

 private:
  Owned<ggml_backend> cpu_;
  Owned<ggml_context> of_weights_, of_rest_;
  Owned<ggml_backend_buffer> buffer_, rest_;
  ggml_cgraph *graph_ = nullptr;
};

// Contender is a path whose product is ready to run, and has run once.
struct Contender {
  int path;
  std::function<bool()> run;
};

// time_rounds lets contenders take turns. ggml's, which others are compared with, are never left
// out.
void time_rounds(std::vector<Contender> &contenders,
                 double nanoseconds[eyelet_accel_rounds][eyelet_accel_paths]) {
  double nearest[eyelet_accel_paths] = {};  // of a path to the fastest of a round, as a ratio
  for (int round = 0; round < eyelet_accel_rounds; round++) {
    double least = 0;
    for (const Contender &c : contenders) {
      const auto start = std::chrono::steady_clock::now();
      if (!c.run()) continue;
      const double took =
          std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
              .count();
      nanoseconds[round][c.path] = took;
      if (least == 0 || took < least) least = took;
    }
    for (const Contender &c : contenders) {
      const double ratio = nanoseconds[round][c.path] / least;
      if (round == 0 || ratio < nearest[c.path]) nearest[c.path] = ratio;
    }
    if (round + 1 != trials) continue;
    contenders.erase(std::remove_if(contenders.begin(), contenders.end(),
                                    [&](const Contender &c) {
                                      return c.path != 0 && c.path != paths &&
                                             nearest[c.path] > hopeless;
                                    }),
                     contenders.end());
  }
}

}  // namespace

bool measure(int number, int step, int threads,
             double nanoseconds[eyelet_accel_rounds][eyelet_accel_paths]) {
  const ggml_type type = static_cast<ggml_type>(number);
  if (number < 0 || number >= GGML_TYPE_COUNT || step < 0 || step >= row_steps || threads < 1 ||
      ggml_blck_size(type) <= 0 || width % ggml_blck_size(type) != 0 ||
      !can_run(Path::onednn_f32, type, Layout::rows, 1, width))
    return false;
  const int64_t m = int64_t{1} << step,
                n = eyelet_accel_measured_rows(step, ggml_row_size(type, width));
  Weights w;
  if (!w.make(type, n)) return false;
  std::vector<float> x(m * width), y(m * n);
  random(x);
  const Product p = {{type, m, n, width, w.data(), ggml_row_size(type, width), x.data(), width,
                      y.data(), static_cast<size_t>(n), false},
                     false};
  for (int round = 0; round < eyelet_accel_rounds; round++)
    std::fill_n(nanoseconds[round], eyelet_accel_paths, 0.0);
  std::vector<Contender> contenders;
  ByGGML plain, repacked;
  if (plain.make(ggml_backend_cpu_buffer_type(), p, threads))
    contenders.push_back({0, [&] { return plain.run(); }});
  // the first of the buffer types that repacks such weights
  find_extra_buffers([&](ggml_backend_buffer_type_t buffers) {
    if (!repacked.make(buffers, p, threads)) return false;
    contenders.push_back({paths, [&] { return repacked.run(); }});
    return true;
  });
  for (const Path path : {Path::integers, Path::onednn_bf16, Path::floats, Path::onednn_f32})
    if ((m >= least_rows || has_single(path, type, Layout::rows)) &&
        can_run(path, type, Layout::rows, n, width) && run(path, &p, 1, threads))
      contenders.push_back(
          {static_cast<int>(path), [&p, path, threads] { return run(path, &p, 1, threads); }});
  time_rounds(contenders, nanoseconds);
  return true;
}

}  // namespace eyelet
