#include "fgemm.h"

#include "../../cgo/isa/isa.h"
#include "fgemm_parts.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// ---- kernels ----

static _Atomic(const fgemm_kernels *) chosen;

static const fgemm_kernels *best(const char *isa) {
#ifdef FGEMM_X86
  if (eyelet_isa_allows(eyelet_isa_avx512) && (!isa || strcmp(isa, "avx512") == 0))
    return &fgemm_avx512;
  if (eyelet_isa_allows(eyelet_isa_avx2) && (!isa || strcmp(isa, "avx2") == 0))
    return &fgemm_avx2;
#endif
  return !isa || strcmp(isa, "plain") == 0 ? &fgemm_plain : NULL;
}

const fgemm_kernels *fgemm_chosen(void) {
  const fgemm_kernels *f = chosen;
  if (!f)
    chosen = f = best(NULL);
  return f;
}

const char *eyelet_fgemm_isa(void) { return fgemm_chosen()->name; }

bool eyelet_fgemm_use(const char *isa) {
  const fgemm_kernels *f = best(isa);
  if (f)
    chosen = f;
  return f;
}

void fgemm_pack(const fgemm_kernels *f, float *panel, const float *x, size_t stride, int64_t n,
                int64_t k) {
  if (n < f->width)
    memset(panel, 0, sizeof *panel * f->width * k);
  f->transpose(panel, f->width, x, stride, n, k);
}

bool fgemm_widens(enum ggml_type type) {
  return type == GGML_TYPE_F32 || ggml_get_type_traits(type)->to_float;
}

void fgemm_widen(const fgemm_kernels *f, enum ggml_type type, float *dst, const void *src,
                 int64_t n) {
  switch (type) {
  case GGML_TYPE_F32: memcpy(dst, src, sizeof *dst * n); break;
  case GGML_TYPE_F16: f->widen_f16(dst, src, n); break;
  case GGML_TYPE_BF16: f->widen_bf16(dst, src, n); break;
  default: ggml_get_type_traits(type)->to_float(src, dst, n);
  }
}

// ---- memory ----

static fgemm_scratch scratch;

void *fgemm_take(fgemm_scratch *s, size_t bytes) {
  if (bytes > s->bytes) {
    fgemm_release(s);
    s->base = aligned_alloc(64, up(bytes, 64));
    s->bytes = s->base ? bytes : 0;
  }
  return s->base;
}

void fgemm_release(fgemm_scratch *s) {
  free(s->base);
  *s = (fgemm_scratch){0};
}

size_t eyelet_fgemm_kept(void) { return scratch.bytes; }

void eyelet_fgemm_free(void) { fgemm_release(&scratch); }

// ---- blocks ----

// A block of weights, up to `deep` numbers of up to `tall` rows, stays in the second cache (120
// KiB) while all of x passes by, a panel of x of that depth at a time, which stays in the first
// cache (16 KiB). Of x, no more is packed at a time than stays in the third.
enum {
  deep = 256,
  tall = 120,
  stride = deep + 16,
  most_columns = 1024,
  most_packed = 1 << 22,
  most_k = 1 << 18
};

// How a product is cut up.
typedef struct {
  const struct eyelet_matrices *g;
  const fgemm_kernels *f;
  int64_t unit, unit_bytes; // a block of the type of weights: how many, in how many bytes
  int64_t columns; // rows of x that are packed at a time
  int64_t depth;   // of a block of weights
  int row_tasks, panel_tasks;
  float *packed, *blocks;
  // numbers of scratch memory of a thread: a block of weights, and the sums of its rows for all
  // panels
  size_t block;
} plan;

INLINE int64_t blocks_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

bool eyelet_fgemm_supports(enum ggml_type type, int64_t k) {
  const int64_t block = ggml_blck_size(type);
  return k >= 1 && k <= most_k && fgemm_widens(type) && block >= 1 && block <= deep &&
         k % block == 0;
}

static plan plan_of(const struct eyelet_matrices *g, int threads) {
  plan p = {.g = g,
            .f = fgemm_chosen(),
            .unit = ggml_blck_size(g->type),
            .unit_bytes = ggml_type_size(g->type)};
  p.depth = deep / p.unit * p.unit;
  int64_t width = p.f->width;
  int64_t most = larger(smaller(most_columns, most_packed / g->k) / width, 1) * width;
  p.columns = up(blocks_of(g->m, blocks_of(g->m, most)), width);
  int64_t parts = blocks_of(g->n, tall);
  if (parts >= threads || g->n >= 48 * threads) { // as many rows for each thread
    p.row_tasks = (int)up(parts, threads);
    p.panel_tasks = 1;
  } else { // or as many panels; each thread widens the weights for itself
    p.row_tasks = (int)parts;
    p.panel_tasks = (int)smaller(threads, p.columns / width);
  }
  p.block = (size_t)(tall * stride + blocks_of(g->n, p.row_tasks) * p.columns);
  return p;
}

// Where number k of a row of weights is.
static const char *weight(const plan *p, int64_t row, int64_t k) {
  return (const char *)p->g->w + row * p->g->w_stride + k / p->unit * p->unit_bytes;
}

// Computes the rows of w and the panels of one task, for `columns` rows of x from `first`.
static void run_task(const plan *p, int task, float *scratch, int64_t first, int64_t columns) {
  const struct eyelet_matrices *g = p->g;
  const fgemm_kernels *f = p->f;
  int64_t part = task / p->panel_tasks, from = g->n * part / p->row_tasks,
          rows = g->n * (part + 1) / p->row_tasks - from;
  int64_t panels = blocks_of(columns, f->width);
  part = task % p->panel_tasks;
  int64_t panel = panels * part / p->panel_tasks, end = panels * (part + 1) / p->panel_tasks;
  float *weights = scratch, *sums = scratch + tall * stride;
  for (int64_t k = 0; k < g->k; k += p->depth) {
    int64_t depth = smaller(p->depth, g->k - k);
    size_t bytes = (size_t)(weight(p, 0, k + depth) - weight(p, 0, k));
    const char *w = weight(p, from, k);
    for (int64_t r = 0; r < rows; r++, w += g->w_stride) {
      // parts of rows are too short for the processor to see where the next begins
      for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(w + 2 * g->w_stride + i);
      fgemm_widen(f, g->type, weights + r * stride, w, depth);
    }
    for (int64_t i = panel; i < end; i++)
      f->multiply(weights, stride, rows, p->packed + (i * g->k + k) * f->width, depth,
                  sums + i * rows * f->width, k > 0);
  }
  for (int64_t i = panel; i < end; i++)
    f->transpose(g->y + (first + i * f->width) * g->y_stride + from, g->y_stride,
                 sums + i * rows * f->width, f->width, rows,
                 smaller(f->width, columns - i * f->width));
}

// Computes the product on one thread of a team, in which every thread calls this.
static void run_team(const plan *p) {
  const struct eyelet_matrices *g = p->g;
  const fgemm_kernels *f = p->f;
  float *scratch = p->blocks + p->block * omp_get_thread_num();
  for (int64_t first = 0; first < g->m; first += p->columns) {
    int64_t columns = smaller(p->columns, g->m - first);
#pragma omp for
    for (int64_t c = 0; c < columns; c += f->width)
      fgemm_pack(f, p->packed + c * g->k, g->x + (first + c) * g->x_stride, g->x_stride,
                 smaller(f->width, columns - c), g->k);
#pragma omp for schedule(dynamic, 1)
    for (int task = 0; task < p->row_tasks * p->panel_tasks; task++)
      run_task(p, task, scratch, first, columns);
  }
}

bool eyelet_fgemm_run(const struct eyelet_matrices *g, int threads) {
  if (!eyelet_fgemm_supports(g->type, g->k))
    return false;
  if (g->m <= 0 || g->n <= 0)
    return true;
  threads = threads < 1 ? 1 : threads;
  plan p = plan_of(g, threads);
  size_t packed = (size_t)up(p.columns * g->k, 16);
  p.block = (size_t)up(p.block, 16);
  p.packed = fgemm_take(&scratch, sizeof(float) * (packed + p.block * threads));
  if (!p.packed)
    return false;
  p.blocks = p.packed + packed;
#pragma omp parallel num_threads(threads)
  run_team(&p);
  return true;
}
