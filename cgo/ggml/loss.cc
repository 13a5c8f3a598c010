#include "loss.h"

#include <ggml.h>

#include <new>
#include <stdexcept>

#include "guard.h"

bool eyelet_device_answers(ggml_backend_dev_t dev, char *err, size_t cap) {
  ggml_backend_t backend = nullptr;
  ggml_context *ctx = nullptr;
  ggml_backend_buffer_t buffer = nullptr;
  const bool ok = eyelet_guard(err, cap, [&] {
    const size_t nodes = 4;
    const size_t size = nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(nodes, false);
    backend = ggml_backend_dev_init(dev, nullptr);
    ctx = ggml_init(ggml_init_params{size, nullptr, true});
    if (backend == nullptr || ctx == nullptr) throw std::bad_alloc();
    ggml_cgraph *graph = ggml_new_graph_custom(ctx, nodes, false);
    ggml_tensor *x = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, 32);
    ggml_build_forward_expand(graph, ggml_scale(ctx, x, 2.0f));
    buffer = ggml_backend_alloc_ctx_tensors(ctx, backend);
    if (buffer == nullptr) throw std::bad_alloc();
    if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS)
      throw std::runtime_error("computing failed");
  });
  char more[8];  // whatever freeing throws, err has what came first
  if (buffer != nullptr) eyelet_guard(more, sizeof more, [&] { ggml_backend_buffer_free(buffer); });
  if (ctx != nullptr) ggml_free(ctx);
  if (backend != nullptr) eyelet_guard(more, sizeof more, [&] { ggml_backend_free(backend); });
  return ok;
}
