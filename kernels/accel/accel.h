// The C face of the accelerator: functions that a program asks for by name, with
// ggml_backend_reg_get_proc_address, from the registry that the library puts into libggml.
// Everything else reaches it through ggml.
//
// Types are ggml's numbers (ggml_type), paths those of enum class Path in product.h.
#ifndef EYELET_ACCEL_H
#define EYELET_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The version of what follows; a library of another one is not used.
enum { eyelet_accel_interface = 7 };

// "eyelet_accel_version": eyelet_accel_interface, as the library was built.
typedef int (*eyelet_accel_version_t)(void);

// What the accelerator has done since the library was loaded, or the counters were reset.
struct eyelet_accel_counters {
  uint64_t calls;      // operations computed
  uint64_t rows;       // of activations in them
  uint64_t operations; // multiplications and additions in their products
  // matrix products that ggml's CPU backend was left to compute, counted each time that a graph is
  // laid out
  uint64_t declined;
  double seconds;      // spent computing
  // bytes of memory kept from one operation to the next; none once the last user has gone. Reset
  // leaves it alone
  uint64_t kept;
};

enum {
  // in the array of eyelet_accel_measure: the paths of product.h, and ggml's over repacked weights
  eyelet_accel_paths = 6,
  eyelet_accel_rounds = 5, // of a measurement
  eyelet_accel_steps = 8, // numbers of rows that are measured: 1, 2, 4 … 128
  eyelet_accel_starved = 100 // in the place of a path: any, computed as when memory is short
};

// What a measurement multiplies with: rows of so many numbers, so many rows. Products of few rows
// are bound by reading the weights: those must not fit into the third cache of common processors,
// and must lie in large pages if those of a model do (cgo/ggml/pages_linux.c). More rows get fewer
// weights, so that no measurement takes long.
enum { eyelet_accel_measured_width = 2048, eyelet_accel_measured_bytes = 40 << 20 };
static inline int64_t eyelet_accel_measured_rows(int step, int64_t row_bytes) {
  if (step < 4) return eyelet_accel_measured_bytes / row_bytes / 16 * 16;
  return step == 4 ? 8192 : step == 5 ? 4096 : 1024;
}

// "eyelet_accel_set_threads": the size of the team, from the next graph on. libllama sets it
// through "ggml_backend_set_n_threads" for each of its contexts; libmtmd does not know of the
// accelerator.
typedef void (*eyelet_accel_set_threads_t)(int threads);

// "eyelet_accel_set_enabled": whether graphs that are laid out from now on use the accelerator.
typedef void (*eyelet_accel_set_enabled_t)(bool on);

// "eyelet_accel_set_force": for tests. Products of at least rows rows are taken whatever was
// measured, and computed with a path, or with the first that can if path is 0; eyelet_accel_starved
// is a path here. Rows 0 ends that. The environment variable EYELET_ACCEL_FORCE=ROWS[,PATH] does
// the same from the start.
typedef void (*eyelet_accel_set_force_t)(int rows, int path);

// Whether the number of rows decides who computes them.
enum eyelet_accel_uniform {
  eyelet_accel_varied, // it does
  // It does not up to eyelet_accel_few_rows rows, which have the path of few: a row is computed to
  // the same bits alone and beside others, but for products of weights that ggml has repacked in a
  // layout that is not read here.
  eyelet_accel_few,
  // It does not at all: all have the path of many rows, and attention of any number of queries is
  // taken. What a row is computed to is then the same whatever rows are computed with it, but for
  // the order of attention's sums in float32, which follows where keys lie.
  eyelet_accel_many
};

// "eyelet_accel_set_uniform": an enum eyelet_accel_uniform for the graphs that the calling thread
// lays out from now on.
typedef void (*eyelet_accel_set_uniform_t)(int uniform);

// "eyelet_accel_few_rows": up to how many rows eyelet_accel_few is about on this processor.
typedef int (*eyelet_accel_few_rows_t)(void);

// "eyelet_accel_has_few": whether there are kernels that unpack weights of a type once for so many
// rows, where ggml's CPU backend has repacked them or not. Others ggml unpacks for each row.
typedef bool (*eyelet_accel_has_few_t)(int type, bool repacked);

// "eyelet_accel_set_cache": how many bytes of weights may be kept as oneDNN reads them best, so
// that they are not converted for each prompt; 0 from the start. What is kept is freed. Weights are
// those in buffers that ggml is told to hold weights.
typedef void (*eyelet_accel_set_cache_t)(uint64_t bytes);

// "eyelet_accel_forget": frees the weights that are kept. It must be called before a model that was
// computed with goes, if anything is kept: they are known by their addresses.
typedef void (*eyelet_accel_forget_t)(void);

// "eyelet_accel_counters"; reset sets them to zero after reading.
typedef void (*eyelet_accel_counters_t)(struct eyelet_accel_counters *counters, bool reset);

// "eyelet_accel_measure": the nanoseconds that a product of 2^step rows takes by each path, on a
// team of threads, in rounds in which all paths take turns: what else runs on the machine then
// meets them alike, and a round is compared with itself. 0 where a path cannot run it, or is not
// worth a try. It computes for some 20 to 150 ms. False if the type or step is none, or memory is
// short.
typedef bool (*eyelet_accel_measure_t)(int type, int step, int threads,
                                       double nanoseconds[eyelet_accel_rounds][eyelet_accel_paths]);

// "eyelet_accel_reads_repacked": whether weights of a type can be read after ggml's CPU backend has
// repacked them while loading.
typedef bool (*eyelet_accel_reads_repacked_t)(int type);

// "eyelet_accel_set_choice": products of 2^step rows, up to twice as many, are computed with a path
// from now on, where weights are repacked or not. A single row stays with ggml where the path has
// none for it, or the matrix is small. False if there is no such type, step or path.
typedef bool (*eyelet_accel_set_choice_t)(int type, int step, bool repacked, int path);

// "eyelet_accel_path_name": "ggml", "integers" …, NULL if there is no such path.
typedef const char *(*eyelet_accel_path_name_t)(int path);

#ifdef __cplusplus
}
#endif
#endif
