// What the tests of this package compute with: graphs of one operation.
#ifndef EYELET_ACCEL_COMPUTE_H
#define EYELET_ACCEL_COMPUTE_H

#include <ggml-backend.h>
#include <ggml.h>

static inline struct ggml_cgraph *graph_of(struct ggml_context *c, struct ggml_tensor *op) {
  struct ggml_cgraph *graph = ggml_new_graph_custom(c, 16, false);
  ggml_build_forward_expand(graph, op);
  return graph;
}

static inline bool compute(ggml_backend_t backend, struct ggml_cgraph *graph, int threads) {
  ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
  ggml_backend_set_n_threads_t set_threads =
      (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(reg,
                                                                      "ggml_backend_set_n_threads");
  set_threads(backend, threads);
  return ggml_backend_graph_compute(backend, graph) == GGML_STATUS_SUCCESS;
}

// Computes a graph with ggml's CPU backend, which must be loaded.
static inline bool compute_by_ggml(struct ggml_cgraph *graph, int threads) {
  ggml_backend_t cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
  const bool ok = cpu && compute(cpu, graph, threads);
  if (cpu)
    ggml_backend_free(cpu);
  return ok;
}

#endif
