#ifndef EYELET_GGML_GRAPH_SHIM_H
#define EYELET_GGML_GRAPH_SHIM_H

#include <ggml-backend.h>
#include <ggml.h>

#ifdef __cplusplus
extern "C" {
#endif

// Backends report trouble of a device by C++ exceptions, which must not unwind into Go. The
// functions here catch them: they return false, or NULL, and write what happened to err.

// A device, if there is one, the CPU, and what divides a graph between them.
struct shim_backend {
  ggml_backend_t device;  // NULL for the CPU alone
  ggml_backend_t cpu;
  ggml_backend_sched_t sched;
};

// shim_graph_open makes a backend for graphs of up to so many tensors; dev is NULL for the CPU
// alone.
bool shim_graph_open(ggml_backend_dev_t dev, int threads, size_t tensors, struct shim_backend *out,
                     char *err, size_t cap);
// shim_graph_close frees a backend. What a lost device throws is dropped.
void shim_graph_close(struct shim_backend *b);

// shim_graph_context makes room for the descriptions of so many tensors; NULL if there is none.
struct ggml_context *shim_graph_context(size_t tensors, bool graph);

// shim_graph_alloc allocates all tensors of a context in the memory of the device, or of the CPU.
ggml_backend_buffer_t shim_graph_alloc(struct shim_backend *b, struct ggml_context *ctx,
                                       bool on_device, char *err, size_t cap);
void shim_graph_free(ggml_backend_buffer_t buffer);

bool shim_graph_set(struct ggml_tensor *t, const void *data, size_t size, char *err, size_t cap);
bool shim_graph_get(const struct ggml_tensor *t, void *data, size_t size, char *err, size_t cap);

// shim_graph_compute computes a graph and waits for its end. splits is the number of parts that it
// was divided into.
bool shim_graph_compute(struct shim_backend *b, struct ggml_cgraph *graph, int *splits, char *err,
                        size_t cap);

// shim_graph_supports tells whether the device has an operation.
bool shim_graph_supports(struct shim_backend *b, const struct ggml_tensor *op);

#ifdef __cplusplus
}
#endif

#endif
