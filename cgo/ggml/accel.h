#ifndef EYELET_GGML_ACCEL_H
#define EYELET_GGML_ACCEL_H

#include <ggml-backend.h>

#include "../../kernels/accel/accel.h"

// The functions of the accelerator's library.
typedef struct {
  eyelet_accel_set_threads_t set_threads;
  eyelet_accel_set_enabled_t set_enabled;
  eyelet_accel_set_uniform_t set_uniform;
  eyelet_accel_few_rows_t few_rows;
  eyelet_accel_has_few_t has_few;
  eyelet_accel_set_force_t set_force;
  eyelet_accel_set_cache_t set_cache;
  eyelet_accel_forget_t forget;
  eyelet_accel_counters_t counters;
  eyelet_accel_measure_t measure;
  eyelet_accel_reads_repacked_t reads_repacked;
  eyelet_accel_set_choice_t set_choice;
  eyelet_accel_path_name_t path_name;
} eyelet_accel;

// eyelet_accel_find asks a registry for the functions; false if one is missing, or they are of
// another version than accel.h.
bool eyelet_accel_find(ggml_backend_reg_t reg, eyelet_accel *f);

// Go cannot call through pointers.
static inline void eyelet_accel_call_set_threads(const eyelet_accel *f, int threads) {
  f->set_threads(threads);
}
static inline void eyelet_accel_call_set_enabled(const eyelet_accel *f, bool on) {
  f->set_enabled(on);
}
static inline void eyelet_accel_call_set_uniform(const eyelet_accel *f, int uniform) {
  f->set_uniform(uniform);
}
static inline int eyelet_accel_call_few_rows(const eyelet_accel *f) { return f->few_rows(); }
static inline bool eyelet_accel_call_has_few(const eyelet_accel *f, int type, bool repacked) {
  return f->has_few(type, repacked);
}
static inline void eyelet_accel_call_set_force(const eyelet_accel *f, int rows, int path) {
  f->set_force(rows, path);
}
static inline void eyelet_accel_call_set_cache(const eyelet_accel *f, uint64_t bytes) {
  f->set_cache(bytes);
}
static inline void eyelet_accel_call_forget(const eyelet_accel *f) { f->forget(); }
static inline void eyelet_accel_call_counters(const eyelet_accel *f,
                                              struct eyelet_accel_counters *c, bool reset) {
  f->counters(c, reset);
}
static inline bool eyelet_accel_call_measure(
    const eyelet_accel *f, int type, int step, int threads,
    double nanoseconds[eyelet_accel_rounds][eyelet_accel_paths]) {
  return f->measure(type, step, threads, nanoseconds);
}
static inline bool eyelet_accel_call_reads_repacked(const eyelet_accel *f, int type) {
  return f->reads_repacked(type);
}
static inline bool eyelet_accel_call_set_choice(const eyelet_accel *f, int type, int step,
                                                bool repacked, int path) {
  return f->set_choice(type, step, repacked, path);
}
static inline const char *eyelet_accel_call_path_name(const eyelet_accel *f, int path) {
  return f->path_name(path);
}

// The matrices of a model's files.
typedef struct {
  int64_t bytes[GGML_TYPE_COUNT];  // by type
  int64_t table[GGML_TYPE_COUNT];  // of them, the table of tokens' embeddings
  bool output;   // logits have a matrix of their own
  bool experts;  // there are some of which a token takes a part
} eyelet_weights;

// eyelet_count_weights adds the matrices in a GGUF file to w. False if the file cannot be read.
bool eyelet_count_weights(const char *path, eyelet_weights *w);

#endif
