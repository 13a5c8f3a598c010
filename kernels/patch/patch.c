#include "patch.h"

#include "../../cgo/isa/isa.h"

#include <omp.h>
#include <stdatomic.h>
#include <string.h>

// The loops at one level of instruction sets (patch_loops.h).
typedef struct {
  void (*fill_f32)(float *restrict dst, const uint8_t *restrict pixels, const int16_t *restrict centre, int n);
  void (*fill_bf16)(uint16_t *restrict dst, const uint8_t *restrict pixels, const int16_t *restrict centre, int n);
  void (*add)(float *restrict dst, const float *restrict a, const float *restrict b, int n);
} loops;

#define TARGET
#define LEVEL(name) name##_plain
#include "patch_loops.h"
#ifdef EYELET_TARGET_AVX2
#undef TARGET
#undef LEVEL
#define TARGET EYELET_TARGET_AVX2
#define LEVEL(name) name##_avx2
#include "patch_loops.h"
#undef TARGET
#undef LEVEL
#define TARGET EYELET_TARGET_AVX512
#define LEVEL(name) name##_avx512
#include "patch_loops.h"
#endif

// The loops in use.
static const loops *in_use(void) {
#ifdef EYELET_TARGET_AVX2
  static const loops *chosen; // threads that choose at the same time choose the same
  const loops *l = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
  if (!l) {
    l = eyelet_isa_allows(eyelet_isa_avx512) ? &loops_avx512 : eyelet_isa_allows(eyelet_isa_avx2) ? &loops_avx2 : &loops_plain;
    __atomic_store_n(&chosen, l, __ATOMIC_RELAXED);
  }
  return l;
#else
  return &loops_plain;
#endif
}

static size_t line(size_t n) { return (n + 63) / 64 * 64; }

static size_t operand_bytes(const patch_embedding *e) {
  return line((size_t)e->block * 3 * e->patch * e->patch * (e->bf16 ? 2 : 4));
}

static size_t result_bytes(const patch_embedding *e) { return line(sizeof(float) * e->block * e->hidden); }

size_t patch_scratch(const patch_embedding *e) { return operand_bytes(e) + result_bytes(e) + line(e->product->scratch_bytes); }

// fill copies patches to rows of y * 3 * patch + x * 3 + colour: the order in which the bytes of the picture lie.
static void fill(const patch_embedding *e, char *rows, const uint8_t *tile, int first, int count) {
  int n = 3 * e->patch;
  for (int i = first; i < first + count; i++) {
    const uint8_t *corner = tile + 3 * ((size_t)(i / e->across) * e->patch * e->side + (size_t)(i % e->across) * e->patch);
    for (int y = 0; y < e->patch; y++, rows += (size_t)n * (e->bf16 ? 2 : 4)) {
      if (e->bf16)
        in_use()->fill_bf16((uint16_t *)rows, corner + (size_t)3 * y * e->side, e->centre, n);
      else
        in_use()->fill_f32((float *)rows, corner + (size_t)3 * y * e->side, e->centre, n);
    }
  }
}

// embed makes the rows of one block of patches of a tile.
static int embed(const patch_embedding *e, int me, const uint8_t *tile, float *x, int block) {
  char *scratch = e->scratch + e->scratch_bytes * me;
  float *result = (float *)(scratch + operand_bytes(e));
  int patches = e->across * e->across, first = block * e->block;
  int count = patches - first < e->block ? patches - first : e->block;
  fill(e, scratch, tile, first, count);
  int status = eyelet_matmul_run(e->product, me, scratch, e->packed, e->bias, result, (char *)result + result_bytes(e));
  if (status != dnnl_success)
    return status;
  for (int i = 0; i < count; i++) {
    size_t row = (size_t)(e->first + first + i) * e->hidden;
    in_use()->add(x + row, result + (size_t)i * e->hidden, e->positions + row, e->hidden);
  }
  if (block == 0 && e->class_row >= 0) {
    size_t row = (size_t)e->class_row * e->hidden;
    in_use()->add(x + row, e->class_token, e->positions + row, e->hidden);
  }
  return dnnl_success;
}

int patch_run(const patch_embedding *e, const uint8_t *pixels, int tiles, float *x) {
  atomic_int status = dnnl_success;
  int blocks = (e->across * e->across + e->block - 1) / e->block;
#pragma omp parallel for schedule(dynamic, 1) num_threads(e->threads)
  for (int i = 0; i < tiles * blocks; i++) {
    size_t tile = i / blocks;
    int none = dnnl_success;
    int s = embed(e, omp_get_thread_num(), pixels + tile * 3 * e->side * e->side, x + tile * e->rows * e->hidden, i % blocks);
    if (s != dnnl_success)
      atomic_compare_exchange_strong(&status, &none, s);
  }
  return status;
}
