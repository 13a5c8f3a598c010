#include "qgemm.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "qgemm_few.h"
#include "qgemm_parts.h"

// A thread takes so many panels at a time, and multiplies a panel, of so many numbers along k that
// it stays near the first cache, with all rows before the next; of the rows, as many as stay in the
// third cache.
enum { block_panels = 16, block_depth = 1024, slab_bytes = 16 << 20 };

// A thread takes panels in so many turns at least, so that no thread waits long for the last; of
// few rows in more, as no panel is made for a turn.
enum { shares = 4, few_shares = 16 };

// A block of weights: how many, in how many bytes.
typedef struct {
  int type, block, bytes;
} weight_block;

static const weight_block types[] = {
    {qgemm_q4_0, 32, 18}, {qgemm_q4_1, 32, 20},   {qgemm_q5_0, 32, 22},   {qgemm_q5_1, 32, 24},
    {qgemm_q8_0, 32, 34}, {qgemm_iq4_nl, 32, 18}, {qgemm_q2_k, 256, 84},  {qgemm_q3_k, 256, 110},
    {qgemm_q4_k, 256, 144}, {qgemm_q5_k, 256, 176}, {qgemm_q6_k, 256, 210},
};

static const qgemm_kernels *const all[] = {
#ifdef QGEMM_X86
    &qgemm_vnni,
    &qgemm_avxvnni,
    &qgemm_avx2,
#endif
    &qgemm_plain,
};
enum { sets = sizeof all / sizeof *all };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of what follows
static const qgemm_kernels *chosen;
static char *scratch;
static size_t scratch_bytes;

static const qgemm_kernels *kernels(const char *name, bool emulated) {
  for (int i = 0; i < sets; i++)
    if ((!name || !strcmp(name, all[i]->name)) && (emulated || all[i]->present()))
      return all[i];
  return NULL;
}

static const weight_block *block_of(int type) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].type == type)
      return &types[i];
  return NULL;
}

bool eyelet_qgemm_supports(int type, int64_t k, int64_t n) {
  const weight_block *b = block_of(type);
  return b && k > 0 && n >= 0 && k % b->block == 0;
}

static const qgemm_kernels *in_use(void) {
  if (!chosen)
    chosen = kernels(NULL, false);
  return chosen;
}

bool eyelet_qgemm_supports_interleaved(int type, int64_t k, int64_t n) {
  pthread_mutex_lock(&lock);
  const bool can = in_use()->pack_interleaved != NULL;
  pthread_mutex_unlock(&lock);
  return can && type == qgemm_q4_k && eyelet_qgemm_supports(type, k, n) && n % 8 == 0;
}

int eyelet_qgemm_few_rows(int type, bool interleaved) {
  pthread_mutex_lock(&lock);
  const qgemm_few *few = in_use()->few;
  pthread_mutex_unlock(&lock);
  return few ? few->most(type, interleaved) : 0;
}

int eyelet_qgemm_least_few_rows(int types) {
  pthread_mutex_lock(&lock);
  const qgemm_few *few = in_use()->few;
  pthread_mutex_unlock(&lock);
  int least = 0;
  for (int type = 0; few && type < types; type++) {
    const int rows = few->most(type, false);
    if (rows > 0 && (least == 0 || rows < least))
      least = rows;
  }
  return least;
}

static bool use(const char *isa, bool emulated) {
  const qgemm_kernels *k = kernels(isa, emulated);
  pthread_mutex_lock(&lock);
  if (k)
    chosen = k;
  pthread_mutex_unlock(&lock);
  return k != NULL;
}

bool eyelet_qgemm_use(const char *isa) { return use(isa, false); }

bool eyelet_qgemm_use_emulated(const char *isa) { return use(isa, true); }

const char *eyelet_qgemm_isa(void) {
  pthread_mutex_lock(&lock);
  const char *name = in_use()->name;
  pthread_mutex_unlock(&lock);
  return name;
}

size_t eyelet_qgemm_kept(void) {
  pthread_mutex_lock(&lock);
  const size_t kept = scratch_bytes;
  pthread_mutex_unlock(&lock);
  return kept;
}

void eyelet_qgemm_free(void) {
  pthread_mutex_lock(&lock);
  free(scratch);
  scratch = NULL;
  scratch_bytes = 0;
  pthread_mutex_unlock(&lock);
}

static bool reserve(size_t n) {
  n = (n + 4095) / 4096 * 4096;
  if (scratch_bytes >= n)
    return true;
  free(scratch);
  scratch = aligned_alloc(4096, n);
  scratch_bytes = scratch ? n : 0;
  return scratch != NULL;
}

bool qgemm_few_takes(int type, bool interleaved) {
  return type == qgemm_q4_k ||
         (!interleaved && (type == qgemm_q8_0 || type == qgemm_q4_0 || type == qgemm_q6_k));
}

int qgemm_few_slots(int type) {
  switch (type) {
  case qgemm_q4_0: return 5;
  case qgemm_q8_0: return 9;
  case qgemm_q4_k: return 4 * 9;
  default: return 8 * 7;
  }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A slab of rows, and how it is cut.
typedef struct {
  const struct eyelet_matrices *g;
  const qgemm_kernels *kernels;
  const qgemm_few *few; // NULL if there are more than few rows
  qgemm_shape shape;
  weight_block weights;
  int64_t pieces, depth; // along k, in all and in a panel
  int64_t first, rows;   // of x
  int64_t tiles;         // as even as can be
  int64_t panels, block; // panels in all and in a block
  char *x, *w;           // packed rows; room for a panel a thread
} slab;

static int64_t tile_start(const slab *s, int64_t t) { return s->rows * t / s->tiles; }

// The packed rows lie by panels' depths, a tile after the other in each.
static char *tile_at(const slab *s, int64_t t, int64_t piece, int64_t pieces) {
  return s->x + (piece * s->rows + tile_start(s, t) * pieces) * s->shape.row;
}

// Packs so many pieces of a tile, which lie in one panel's depth.
static void pack_tile(const slab *s, int64_t t, int64_t piece, int64_t pieces) {
  const int64_t panel = piece / s->depth * s->depth, row = tile_start(s, t);
  const int r = tile_start(s, t + 1) - row;
  char *tile = tile_at(s, t, panel, least(s->depth, s->pieces - panel));
  (s->few ? s->few->pack_rows : s->kernels->pack_rows)(
      s->g->type, tile + (piece - panel) * r * s->shape.row,
      s->g->x + (s->first + row) * s->g->x_stride + piece * s->shape.depth, s->g->x_stride, r,
      pieces);
}

// A panel with fewer than 16 columns is multiplied aside.
static void put_edge(const slab *s, const float *aside, int r, float *y, int columns, bool add) {
  for (int i = 0; i < r; i++)
    for (int c = 0; c < columns; c++) {
      float *to = y + i * s->g->y_stride + c;
      *to = aside[i * qgemm_columns + c] + (add ? *to : 0);
    }
}

static void multiply_edge(const slab *s, const char *tile, int r, const char *panel, int64_t pieces,
                          float *y, int columns, bool add) {
  float aside[qgemm_most * qgemm_columns];
  s->kernels->multiply(s->g->type, tile, r, panel, pieces, aside, qgemm_columns, false);
  put_edge(s, aside, r, y, columns, add);
}

// The rows of w that a panel is made of, or groups of 8 interleaved ones; where they end before it
// does, the last ones are repeated.
static void rows_of(const slab *s, int64_t p, const char *rows[qgemm_columns]) {
  const struct eyelet_matrices *g = s->g;
  const int64_t unit = g->interleaved ? 8 : 1;
  for (int c = 0; c < qgemm_columns / unit; c++)
    rows[c] = (const char *)g->w + least(p * qgemm_columns + c * unit, g->n - unit) * g->w_stride;
}

// Stretches of the rows of a panel.
typedef struct {
  const char *from[qgemm_columns];
  int count;
  size_t bytes; // of each
} ahead;

// Bytes of so many pieces of a row, or of 8 interleaved ones.
static size_t weight_bytes(const slab *s, int64_t pieces) {
  const int64_t row = pieces * s->shape.depth / s->weights.block * s->weights.bytes;
  return row * (s->g->interleaved ? 8 : 1);
}

static ahead look_ahead(const slab *s, int64_t p, int64_t piece) {
  ahead a = {.count = s->g->interleaved ? 2 : qgemm_columns,
             .bytes = weight_bytes(s, least(s->depth, s->pieces - piece))};
  rows_of(s, p, a.from);
  for (int i = 0; i < a.count; i++)
    a.from[i] += weight_bytes(s, piece);
  return a;
}

// Fetches one of so many parts of them. It is inlined, as the compiler would take a function that
// only fetches for one that does nothing.
static inline __attribute__((always_inline)) void fetch_part(const ahead *a, int64_t part,
                                                             int64_t parts) {
  const int64_t lines = up(a->bytes, 64);
  const int64_t begin = lines * part / parts, end = lines * (part + 1) / parts;
  for (int i = 0; i < a->count; i++)
    for (int64_t l = begin; l < end; l++)
      __builtin_prefetch(a->from[i] + 64 * l, 0, 2);
}

// Unpacks a panel, and fetches meanwhile what comes next: rows lie apart, and of each only a little
// is read at a time, so that the processor does not foresee it.
static void pack_panel(const slab *s, int64_t p, int64_t piece, int64_t pieces, char *panel,
                       const ahead *next) {
  const int64_t unit = 256 / s->shape.depth;
  const char *rows[qgemm_columns];
  rows_of(s, p, rows);
  for (int64_t at = 0; at < pieces; at += unit) {
    fetch_part(next, at / unit, up(pieces, unit));
    const int64_t some = least(unit, pieces - at);
    char *to = panel + at * s->shape.panel;
    if (s->g->interleaved)
      s->kernels->pack_interleaved(s->g->type, to, rows, piece + at, some);
    else
      s->kernels->pack_panel(s->g->type, to, rows, piece + at, some);
  }
}

// Unpacks a panel, and multiplies it with all tiles.
static void multiply_panel(const slab *s, int64_t p, int64_t piece, char *panel,
                           const ahead *next) {
  const struct eyelet_matrices *g = s->g;
  const int64_t pieces = least(s->depth, s->pieces - piece), columns = g->n - p * qgemm_columns;
  pack_panel(s, p, piece, pieces, panel, next);
  for (int64_t t = 0; t < s->tiles; t++) {
    const int64_t row = tile_start(s, t);
    const int r = tile_start(s, t + 1) - row;
    const char *tile = tile_at(s, t, piece, pieces);
    float *y = g->y + (s->first + row) * g->y_stride + p * qgemm_columns;
    if (columns < qgemm_columns)
      multiply_edge(s, tile, r, panel, pieces, y, columns, piece > 0);
    else
      s->kernels->multiply(g->type, tile, r, panel, pieces, y, g->y_stride, piece > 0);
  }
}

static void multiply_block(const slab *s, int64_t block, char *panel) {
  const int64_t begin = block * s->block, end = least(begin + s->block, s->panels);
  for (int64_t piece = 0; piece < s->pieces; piece += s->depth)
    for (int64_t p = begin; p < end; p++) {
      const bool last = p + 1 == end;
      ahead next = {0};
      if (!last || piece + s->depth < s->pieces)
        next = look_ahead(s, last ? begin : p + 1, last ? piece + s->depth : piece);
      multiply_panel(s, p, piece, panel, &next);
    }
}

// Multiplies the weights of 16 columns with all tiles, as many as are alike at a time. Each fetches
// its share of the weights of the columns that come next.
static void multiply_columns(const slab *s, int64_t p, int64_t next) {
  const struct eyelet_matrices *g = s->g;
  const int64_t columns = least(qgemm_columns, g->n - p * qgemm_columns);
  const size_t bytes = qgemm_columns * g->w_stride;
  qgemm_weights w = {.type = g->type,
                     .interleaved = g->interleaved,
                     .step = up(bytes, s->tiles * s->pieces * s->few->slots(g->type))};
  rows_of(s, p, w.rows);
  int group;
  for (int64_t t = 0; t < s->tiles; t += group) {
    const int64_t row = tile_start(s, t), r = tile_start(s, t + 1) - row;
    group = 1;
    while (group < s->few->tiles && t + group < s->tiles &&
           tile_start(s, t + group + 1) - tile_start(s, t + group) == r)
      group++;
    const char *tile = tile_at(s, t, 0, s->pieces);
    float *y = g->y + (s->first + row) * g->y_stride + p * qgemm_columns;
    float aside[qgemm_few_most * qgemm_columns];
    w.next = (const char *)g->w + next * bytes + bytes * t / s->tiles;
    const bool edge = columns < qgemm_columns;
    s->few->multiply(&w, tile, group, r, s->pieces, edge ? aside : y,
                     edge ? qgemm_columns : g->y_stride);
    if (edge)
      put_edge(s, aside, group * r, y, columns, false);
  }
}

// Takes the next block of columns, which begins at the panel that it returns.
static int64_t take_block(const slab *s, int64_t *taken) {
  return __atomic_fetch_add(taken, s->block, __ATOMIC_RELAXED);
}

// Fetches the weights of 16 columns. It is inlined for the reason that fetch_part is.
static inline __attribute__((always_inline)) void fetch_columns(const slab *s, int64_t p) {
  const size_t bytes = qgemm_columns * s->g->w_stride;
  if (p < s->panels)
    for (size_t at = 0; at < bytes; at += 64)
      __builtin_prefetch((const char *)s->g->w + p * bytes + at, 0, 2);
}

// Multiplies blocks of columns, from begin on, until all are taken. A thread takes its next block
// before it begins the one that it has, so that nothing is fetched which another thread multiplies.
static void multiply_few(const slab *s, int64_t begin, int64_t *taken) {
  while (begin < s->panels) {
    const int64_t after = take_block(s, taken);
    const int64_t end = least(begin + s->block, s->panels);
    for (int64_t p = begin; p < end; p++)
      multiply_columns(s, p, p + 1 < end ? p + 1 : least(after, s->panels));
    begin = after;
  }
}

static void run_slab(const slab *s, int threads) {
  // Few rows are a tile or two, whose pieces are shared out.
  const int64_t share = s->few ? up(s->pieces, threads) : s->depth;
  const int64_t parts = up(s->pieces, share), blocks = up(s->panels, s->block);
  int64_t taken = 0;
#pragma omp parallel num_threads(threads)
  {
    char *packed = s->w + omp_get_thread_num() * s->depth * s->shape.panel;
    int64_t first = 0;
    if (s->few) {
      first = take_block(s, &taken);
      fetch_columns(s, first);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < parts * s->tiles; i++) {
      const int64_t piece = i / s->tiles * share;
      pack_tile(s, i % s->tiles, piece, least(share, s->pieces - piece));
    }
    if (s->few) {
      multiply_few(s, first, &taken);
    } else {
#pragma omp for schedule(dynamic, 1) nowait
      for (int64_t i = 0; i < blocks; i++)
        multiply_block(s, i, packed);
    }
  }
}

static bool run(const struct eyelet_matrices *g, int threads) {
  slab s = {.g = g,
            .kernels = chosen,
            .shape = chosen->shape(g->type),
            .weights = *block_of(g->type)};
  if (chosen->few && g->m <= chosen->few->most(g->type, g->interleaved))
    s.few = chosen->few;
  s.pieces = g->k / s.shape.depth;
  s.depth = s.few ? s.pieces : least(block_depth / s.shape.depth, s.pieces);
  s.panels = up(g->n, qgemm_columns);
  s.block = least(block_panels, s.panels / ((s.few ? few_shares : shares) * threads));
  if (s.block < 1)
    s.block = 1;
  const int64_t tile = s.few ? s.few->rows : s.kernels->rows;
  int64_t most = slab_bytes / (s.pieces * s.shape.row) / tile * tile;
  if (most < tile)
    most = tile;
  most = least(most, g->m);
  const size_t x_bytes = up(most * s.pieces * s.shape.row, 64) * 64;
  if (!reserve(x_bytes + (s.few ? 0 : threads * s.depth * s.shape.panel)))
    return false;
  s.x = scratch;
  s.w = scratch + x_bytes;
  for (; s.first < g->m; s.first += s.rows) {
    s.rows = least(most, g->m - s.first);
    s.tiles = up(s.rows, tile);
    // Tiles that are alike share what it takes to unpack the weights.
    if (s.few && s.few->tiles > 1 && s.rows % s.tiles != 0 && s.rows % (s.tiles + 1) == 0)
      s.tiles++;
    run_slab(&s, threads);
  }
  return true;
}

bool eyelet_qgemm_run(const struct eyelet_matrices *g, int threads) {
  if (!(g->interleaved ? eyelet_qgemm_supports_interleaved : eyelet_qgemm_supports)(g->type, g->k,
                                                                                    g->n) ||
      g->m < 0 || threads < 1)
    return false;
  if (g->m == 0 || g->n == 0)
    return true;
  pthread_mutex_lock(&lock);
  in_use();
  const bool ok = run(g, threads);
  pthread_mutex_unlock(&lock);
  return ok;
}
