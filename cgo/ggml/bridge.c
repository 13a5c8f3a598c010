#define _GNU_SOURCE
#include "bridge.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "_cgo_export.h"

void eyelet_ggml_log(enum ggml_log_level level, const char *text, void *user_data) {
  (void)user_data;
  // A line may arrive in fragments; the address of a thread-local tells whose fragment it is.
  static _Thread_local char thread;
  if (text == NULL || *text == '\0' || eyelet_fiber_keeps_log(level, text)) return;
  eyeletGoLog((int)level, (char *)text, (uintptr_t)&thread);
}

static bool copy(const char *from, char *buf, size_t size) {
  if (from == NULL || strlen(from) >= size) return false;
  strcpy(buf, from);
  return true;
}

bool eyelet_object_path(const void *address, char *buf, size_t size) {
  Dl_info info;
  return address != NULL && dladdr(address, &info) != 0 && copy(info.dli_fname, buf, size);
}

bool eyelet_ggml_library(char *buf, size_t size) {
  // Not &ggml_backend_load_all: in a program at a fixed address that is a stub inside the program
  // itself.
  void *f = dlsym(RTLD_NEXT, "ggml_backend_load_all");
  if (f == NULL) f = dlsym(RTLD_DEFAULT, "ggml_backend_load_all");
  return eyelet_object_path(f, buf, size);
}

int eyelet_backend_score(const char *path, char *err, size_t size) {
  void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (lib == NULL) {
    snprintf(err, size, "%s", dlerror());
    return -1;
  }
  int (*score)(void) = (int (*)(void))dlsym(lib, "ggml_backend_score");
  int value = score == NULL ? 1 : score();
  dlclose(lib);
  return value;
}

bool eyelet_blas_is_tuned(const char *path) {
  void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (lib == NULL) return false;
  // Each of these names exists in one tuned BLAS (OpenBLAS, MKL, BLIS, Accelerate) and not in the
  // reference one.
  static const char *const marks[] = {"openblas_get_config", "MKL_Get_Version",
                                      "bli_info_get_version_str", "BLASSetThreading"};
  bool tuned = false;
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
    tuned = tuned || dlsym(lib, marks[i]) != NULL;
  dlclose(lib);
  return tuned;
}

struct ggml_backend_feature *eyelet_backend_features(ggml_backend_reg_t reg) {
  ggml_backend_get_features_t get = (ggml_backend_get_features_t)ggml_backend_reg_get_proc_address(
      reg, "ggml_backend_get_features");
  return get == NULL ? NULL : get(reg);
}

bool eyelet_device_attends(ggml_backend_dev_t dev, int64_t heads, int64_t heads_kv,
                           int64_t key_width, int64_t value_width, enum ggml_type k,
                           enum ggml_type v) {
  const int64_t cells = 256, rows = 64;
  struct ggml_context *ctx =
      ggml_init((struct ggml_init_params){8 * ggml_tensor_overhead(), NULL, true});
  if (ctx == NULL) return false;
  struct ggml_tensor *op =
      ggml_flash_attn_ext(ctx, ggml_new_tensor_3d(ctx, GGML_TYPE_F32, key_width, rows, heads),
                          ggml_new_tensor_3d(ctx, k, key_width, cells, heads_kv),
                          ggml_new_tensor_3d(ctx, v, value_width, cells, heads_kv),
                          ggml_new_tensor_2d(ctx, GGML_TYPE_F16, cells, rows), 1.0f, 0.0f, 0.0f);
  const bool yes = ggml_backend_dev_supports_op(dev, op);
  ggml_free(ctx);
  return yes;
}
