#include "shim.h"

#include "../guard.h"

#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>

namespace {

// quiet is eyelet_guard for what frees.
template <class F>
void quiet(F f) noexcept {
  char err[8];
  eyelet_guard(err, sizeof err, f);
}

void set_threads(ggml_backend_t cpu, int threads) {
  ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(cpu));
  auto set = reinterpret_cast<ggml_backend_set_n_threads_t>(
      ggml_backend_reg_get_proc_address(reg, "ggml_backend_set_n_threads"));
  if (set != nullptr && threads > 0) set(cpu, threads);
}

}  // namespace

extern "C" {

bool shim_graph_open(ggml_backend_dev_t dev, int threads, size_t tensors, struct shim_backend *out,
                     char *err, size_t cap) {
  *out = shim_backend{};
  const bool ok = eyelet_guard(err, cap, [&] {
    if (dev != nullptr) {
      out->device = ggml_backend_dev_init(dev, nullptr);
      if (out->device == nullptr) throw std::runtime_error("the device cannot be opened");
    }
    out->cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
    if (out->cpu == nullptr) throw std::runtime_error("there is no CPU backend");
    set_threads(out->cpu, threads);
    ggml_backend_t all[2] = {out->device, out->cpu};
    const int skip = out->device == nullptr ? 1 : 0;
    out->sched =
        ggml_backend_sched_new(all + skip, nullptr, 2 - skip, 2 * tensors, false, false);
    if (out->sched == nullptr) throw std::bad_alloc();
  });
  if (!ok) shim_graph_close(out);
  return ok;
}

void shim_graph_close(struct shim_backend *b) {
  if (b->sched != nullptr) quiet([&] { ggml_backend_sched_free(b->sched); });
  if (b->cpu != nullptr) quiet([&] { ggml_backend_free(b->cpu); });
  if (b->device != nullptr) quiet([&] { ggml_backend_free(b->device); });
  *b = shim_backend{};
}

struct ggml_context *shim_graph_context(size_t tensors, bool graph) {
  size_t size = tensors * ggml_tensor_overhead();
  if (graph) size += ggml_graph_overhead_custom(2 * tensors, false);
  return ggml_init(ggml_init_params{size, nullptr, true});
}

ggml_backend_buffer_t shim_graph_alloc(struct shim_backend *b, struct ggml_context *ctx,
                                       bool on_device, char *err, size_t cap) {
  ggml_backend_buffer_t buffer = nullptr;
  eyelet_guard(err, cap, [&] {
    buffer = ggml_backend_alloc_ctx_tensors(ctx, on_device && b->device ? b->device : b->cpu);
    if (buffer == nullptr) throw std::runtime_error("out of memory");
    ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  });
  return buffer;
}

void shim_graph_free(ggml_backend_buffer_t buffer) {
  if (buffer != nullptr) quiet([&] { ggml_backend_buffer_free(buffer); });
}

bool shim_graph_set(struct ggml_tensor *t, const void *data, size_t size, char *err, size_t cap) {
  return eyelet_guard(err, cap, [&] { ggml_backend_tensor_set(t, data, 0, size); });
}

bool shim_graph_get(const struct ggml_tensor *t, void *data, size_t size, char *err, size_t cap) {
  return eyelet_guard(err, cap, [&] { ggml_backend_tensor_get(t, data, 0, size); });
}

bool shim_graph_compute(struct shim_backend *b, struct ggml_cgraph *graph, int *splits, char *err,
                        size_t cap) {
  return eyelet_guard(err, cap, [&] {
    ggml_backend_sched_reset(b->sched);
    if (!ggml_backend_sched_alloc_graph(b->sched, graph)) throw std::runtime_error("out of memory");
    *splits = ggml_backend_sched_get_n_splits(b->sched);
    const ggml_status status = ggml_backend_sched_graph_compute(b->sched, graph);
    if (status != GGML_STATUS_SUCCESS)
      throw std::runtime_error(status == GGML_STATUS_ALLOC_FAILED ? "out of memory"
                                                                  : "computing failed");
  });
}

bool shim_graph_supports(struct shim_backend *b, const struct ggml_tensor *op) {
  bool yes = false;
  quiet([&] { yes = ggml_backend_supports_op(b->device ? b->device : b->cpu, op); });
  return yes;
}

}  // extern "C"
