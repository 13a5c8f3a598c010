#ifndef EYELET_GGML_BRIDGE_H
#define EYELET_GGML_BRIDGE_H

#include <ggml-backend.h>
#include <ggml.h>

#include "fiber.h"

// eyelet_ggml_log is the one log callback of the process. Its type is ggml_log_callback.
void eyelet_ggml_log(enum ggml_log_level level, const char *text, void *user_data);

// eyelet_fiber_keeps_log keeps a line that comes from a fiber's stack, where Go code cannot run,
// and returns whether it did.
bool eyelet_fiber_keeps_log(enum ggml_log_level level, const char *text);

// eyelet_fibers returns the functions of fiber.h.
const struct eyelet_fibers *eyelet_fibers(void);

// eyelet_ggml_library writes the path of the shared library that holds libggml's loader into buf;
// false if unknown.
bool eyelet_ggml_library(char *buf, size_t size);

// eyelet_object_path writes the path of the loaded object that holds the address; false if unknown.
bool eyelet_object_path(const void *address, char *buf, size_t size);

// eyelet_backend_score opens a backend library and returns how well it fits this machine: 0 not at
// all, else the higher the better. A library without a score function gives 1, one that cannot be
// opened -1 (its reason goes to err).
int eyelet_backend_score(const char *path, char *err, size_t size);

// eyelet_blas_is_tuned tells whether the BLAS that a libggml-blas library links is one of the fast
// ones.
bool eyelet_blas_is_tuned(const char *path);

// eyelet_backend_features returns the feature list of a backend, ended by an entry without name;
// NULL if it has none.
struct ggml_backend_feature *eyelet_backend_features(ggml_backend_reg_t reg);

// eyelet_device_attends tells whether a device has flash attention of these shapes and types.
// Widths are multiples of the types' blocks.
bool eyelet_device_attends(ggml_backend_dev_t dev, int64_t heads, int64_t heads_kv,
                           int64_t key_width, int64_t value_width, enum ggml_type k,
                           enum ggml_type v);

// eyelet_tune_malloc bounds what the C library keeps of freed memory.
void eyelet_tune_malloc(void);

#endif
