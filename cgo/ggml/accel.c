#include "accel.h"

#include <gguf.h>
#include <string.h>

bool eyelet_accel_find(ggml_backend_reg_t reg, eyelet_accel *f) {
#define FIND(name) \
  ((eyelet_accel_##name##_t)ggml_backend_reg_get_proc_address(reg, "eyelet_accel_" #name))
  eyelet_accel_version_t version = FIND(version);
  if (version == NULL || version() != eyelet_accel_interface) return false;
  *f = (eyelet_accel){FIND(set_threads),    FIND(set_enabled), FIND(set_uniform),
                      FIND(few_rows),       FIND(has_few),     FIND(set_force),
                      FIND(set_cache),      FIND(forget),      FIND(counters),
                      FIND(measure),        FIND(reads_repacked), FIND(set_choice),
                      FIND(path_name)};
#undef FIND
  return f->set_threads && f->set_enabled && f->set_uniform && f->few_rows && f->has_few &&
         f->set_force && f->set_cache && f->forget && f->counters && f->measure &&
         f->reads_repacked && f->set_choice && f->path_name;
}

bool eyelet_count_weights(const char *path, eyelet_weights *w) {
  struct gguf_init_params params = {.no_alloc = true, .ctx = NULL};
  struct gguf_context *file = gguf_init_from_file(path, params);
  if (file == NULL) return false;
  for (int64_t i = 0; i < gguf_get_n_tensors(file); i++) {
    enum ggml_type type = gguf_get_tensor_type(file, i);
    const int64_t *ne = gguf_get_tensor_ne(file, i);
    const char *name = gguf_get_tensor_name(file, i);
    if (type < 0 || type >= GGML_TYPE_COUNT || ne[1] <= 1) continue;
    const int64_t bytes = (int64_t)gguf_get_tensor_size(file, i);
    w->bytes[type] += bytes;
    if (ne[2] > 1) w->experts = true;
    if (strcmp(name, "output.weight") == 0) w->output = true;
    if (strcmp(name, "token_embd.weight") == 0) w->table[type] = bytes;
  }
  gguf_free(file);
  return true;
}
