#include "accel.h"

#include <gguf.h>

bool eyelet_accel_find(ggml_backend_reg_t reg, eyelet_accel *f) {
  eyelet_accel_version_t version =
      (eyelet_accel_version_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_version");
  if (version == NULL || version() != eyelet_accel_interface) return false;
  f->set_threads = (eyelet_accel_set_threads_t)ggml_backend_reg_get_proc_address(
      reg, "eyelet_accel_set_threads");
  f->set_enabled = (eyelet_accel_set_enabled_t)ggml_backend_reg_get_proc_address(
      reg, "eyelet_accel_set_enabled");
  f->set_uniform = (eyelet_accel_set_uniform_t)ggml_backend_reg_get_proc_address(
      reg, "eyelet_accel_set_uniform");
  f->set_force =
      (eyelet_accel_set_force_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_set_force");
  f->set_cache =
      (eyelet_accel_set_cache_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_set_cache");
  f->forget = (eyelet_accel_forget_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_forget");
  f->counters =
      (eyelet_accel_counters_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_counters");
  f->measure =
      (eyelet_accel_measure_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_measure");
  f->reads_repacked = (eyelet_accel_reads_repacked_t)ggml_backend_reg_get_proc_address(
      reg, "eyelet_accel_reads_repacked");
  f->set_choice =
      (eyelet_accel_set_choice_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_set_choice");
  f->path_name =
      (eyelet_accel_path_name_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_path_name");
  return f->set_threads && f->set_enabled && f->set_uniform && f->set_force && f->set_cache &&
         f->forget && f->counters && f->measure && f->reads_repacked && f->set_choice &&
         f->path_name;
}

void eyelet_accel_call_set_threads(const eyelet_accel *f, int threads) { f->set_threads(threads); }
void eyelet_accel_call_set_enabled(const eyelet_accel *f, bool on) { f->set_enabled(on); }
void eyelet_accel_call_set_uniform(const eyelet_accel *f, bool on) { f->set_uniform(on); }
void eyelet_accel_call_set_force(const eyelet_accel *f, int rows, int path) {
  f->set_force(rows, path);
}
void eyelet_accel_call_set_cache(const eyelet_accel *f, uint64_t bytes) { f->set_cache(bytes); }
void eyelet_accel_call_forget(const eyelet_accel *f) { f->forget(); }
void eyelet_accel_call_counters(const eyelet_accel *f, struct eyelet_accel_counters *c,
                                bool reset) {
  f->counters(c, reset);
}

bool eyelet_accel_call_measure(const eyelet_accel *f, int type, int step, int threads,
                               double nanoseconds[eyelet_accel_rounds][eyelet_accel_paths]) {
  return f->measure(type, step, threads, nanoseconds);
}

bool eyelet_accel_call_reads_repacked(const eyelet_accel *f, int type) {
  return f->reads_repacked(type);
}

bool eyelet_accel_call_set_choice(const eyelet_accel *f, int type, int step, bool repacked,
                                  int path) {
  return f->set_choice(type, step, repacked, path);
}
const char *eyelet_accel_call_path_name(const eyelet_accel *f, int path) {
  return f->path_name(path);
}

bool eyelet_weight_bytes(const char *path, int64_t bytes[GGML_TYPE_COUNT]) {
  struct gguf_init_params params = {.no_alloc = true, .ctx = NULL};
  struct gguf_context *file = gguf_init_from_file(path, params);
  if (file == NULL) return false;
  for (int64_t i = 0; i < gguf_get_n_tensors(file); i++) {
    enum ggml_type type = gguf_get_tensor_type(file, i);
    const int64_t *ne = gguf_get_tensor_ne(file, i);
    if (type < 0 || type >= GGML_TYPE_COUNT || ne[1] <= 1) continue;
    bytes[type] += (int64_t)gguf_get_tensor_size(file, i);
  }
  gguf_free(file);
  return true;
}
