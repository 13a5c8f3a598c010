#include "patch.h"

#include <omp.h>
#include <stdatomic.h>
#include <string.h>

// The loops at one level of instruction sets (patch_loops.h).
typedef struct {
  void (*fill_f32)(float *restrict dst, const uint8_t *restrict pixels,
                   const int16_t *restrict centre, int n);
  void (*fill_bf16)(uint16_t *restrict dst, const uint8_t *restrict pixels,
                    const int16_t *restrict centre, int n);
  void (*add)(float *restrict dst, const float *restrict a, const float *restrict b, int n);
} loops;

#define LOOPS "../../kernels/patch/patch_loops.h"
#include "../../cgo/isa/loops.h"

static size_t line(size_t n) { return (n + 63) / 64 * 64; }

static size_t operand_bytes(const patch_embedding *e) {
  return line((size_t)e->block * 3 * e->patch * e->patch * (e->bf16 ? 2 : 4));
}

static size_t result_bytes(const patch_embedding *e) {
  return line(sizeof(float) * e->block * e->hidden);
}

size_t patch_scratch(const patch_embedding *e) {
  return operand_bytes(e) + result_bytes(e) + line(e->product->scratch_bytes);
}

// fill copies patches to rows of y * 3 * patch + x * 3 + colour: the order in which the bytes of
// the picture lie.
static void fill(const patch_embedding *e, const patch_grid *g, char *rows, const uint8_t *tile,
                 int first, int count) {
  int n = 3 * e->patch;
  for (int i = first; i < first + count; i++) {
    int at = g->order ? g->order[i] : i;
    const uint8_t *corner = tile + 3 * ((size_t)(at / g->across) * e->patch * g->width +
                                        (size_t)(at % g->across) * e->patch);
    for (int y = 0; y < e->patch; y++, rows += (size_t)n * (e->bf16 ? 2 : 4)) {
      if (e->bf16)
        in_use()->fill_bf16((uint16_t *)rows, corner + (size_t)3 * y * g->width, e->centre, n);
      else
        in_use()->fill_f32((float *)rows, corner + (size_t)3 * y * g->width, e->centre, n);
    }
  }
}

// place writes a row of x, its position added.
static void place(const patch_embedding *e, const patch_grid *g, float *x, size_t row,
                  const float *from) {
  if (g->positions)
    in_use()->add(x + row * e->hidden, from, g->positions + row * e->hidden, e->hidden);
  else
    memcpy(x + row * e->hidden, from, sizeof *x * e->hidden);
}

// embed makes the rows of one block of patches of a tile.
static int embed(const patch_embedding *e, const patch_grid *g, int me, const uint8_t *tile,
                 float *x, int block) {
  char *scratch = e->scratch + e->scratch_bytes * me;
  float *result = (float *)(scratch + operand_bytes(e));
  int first = block * e->block;
  int count = g->patches - first < e->block ? g->patches - first : e->block;
  fill(e, g, scratch, tile, first, count);
  int status = eyelet_matmul_run(e->product, me, scratch, e->packed, e->bias, result,
                                 (char *)result + result_bytes(e));
  if (status != dnnl_success)
    return status;
  for (int i = 0; i < count; i++)
    place(e, g, x, g->first + first + i, result + (size_t)i * e->hidden);
  if (block == 0 && g->class_row >= 0)
    place(e, g, x, g->class_row, e->class_token);
  return dnnl_success;
}

int patch_run(const patch_embedding *e, const patch_grid *g, const uint8_t *pixels, int tiles,
              float *x) {
  atomic_int status = dnnl_success;
  int blocks = (g->patches + e->block - 1) / e->block;
#pragma omp parallel for schedule(dynamic, 1) num_threads(e->threads)
  for (int i = 0; i < tiles * blocks; i++) {
    size_t tile = i / blocks;
    int none = dnnl_success;
    int s = embed(e, g, omp_get_thread_num(), pixels + tile * 3 * g->width * g->height,
                  x + tile * g->rows * e->hidden, i % blocks);
    if (s != dnnl_success)
      atomic_compare_exchange_strong(&status, &none, s);
  }
  return status;
}
