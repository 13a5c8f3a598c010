#include "attention.h"

#include "attention_parts.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t blocks_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

// Keys of a block: its keys, values and scores fit the second cache with room to spare, the scores
// of a panel (15 KiB) the first.
enum { block_keys = 240, value_stride = block_keys + 16 };

// Keys whose values are transposed at a time.
enum { value_rows = 16 };

// Queries of a task share the conversion of keys and values: at least so many, where there is work
// enough for all threads. Their state is bounded to state_numbers.
enum { task_queries = 128, most_queries = 1024, state_numbers = 1 << 18, most_width = 4096 };

// Few queries, as of running answers, leave a task too little to do for many threads: their keys
// are cut up as well, into chunks of so many at least, and no more than most_chunks, whatever the
// number of threads, so that results do not depend on it.
enum { few_queries = 16, chunk_keys = 2 * block_keys, most_chunks = 32 };

static const float log2e = 1.44269504f;

// The operation, and how it is cut up. The panels of one head of keys are numbered query panel by
// query panel, the heads of queries that share it running fastest; a task takes some of them in a
// row. Where queries do not fill their panels, and the mask is the same for all heads, operations
// are folded: a panel takes queries of several heads, those of a query side by side.
typedef struct {
  const struct ggml_tensor *q, *k, *v, *mask, *sinks;
  struct ggml_tensor *out;
  const fgemm_kernels *f;
  const attention_kernels *a;
  // group: heads of queries to a head of keys
  int64_t width, value_width, queries, keys, heads, group;
  // panels of a head of keys, the tasks they are cut into, panels of a task
  int64_t panels, parts, most_panels;
  int64_t chunks, chunk; // that the keys are cut into, keys of a chunk
  bool folded;
  float scale, softcap, max_bias;
} attention;

// The part of a block of keys that a panel of queries may see. Where `clear`, the mask is zero for
// all of it.
typedef struct {
  const char *mask; // of the first query and key of the block
  int64_t first, end;
  bool clear;
} span;

// What a panel has come to, whole or over a chunk of the keys.
typedef struct {
  float *out;           // a panel of value_width numbers
  float *largest, *sum; // a row
} state;

// The scratch memory of a thread.
typedef struct {
  float *k;             // block_keys rows
  float *v;             // transposed: value_width rows of block_keys numbers
  float *rows;          // some rows on their way from one form to another
  float *mask, *scores; // panels of block_keys numbers
  float *q, *out;       // a panel for each panel of the task
  float *largest, *sum; // a row for each panel
  span *spans;          // of the panels of the task
} space;

static fgemm_scratch scratch;

size_t eyelet_attention_kept(void) { return scratch.bytes; }

void eyelet_attention_free(void) { fgemm_release(&scratch); }

// ---- what is supported ----

// Whether a tensor has rows that can be widened.
static bool has_rows(const struct ggml_tensor *t) {
  if (t->ne[0] < 1 || t->ne[0] > most_width || t->ne[1] < 1 || t->ne[2] < 1 || t->ne[3] < 1)
    return false;
  return fgemm_widens(t->type) && t->nb[0] == ggml_type_size(t->type) &&
         t->ne[0] % ggml_blck_size(t->type) == 0;
}

static bool aligned(const struct ggml_tensor *t, size_t unit) {
  return t->nb[1] % unit == 0 && t->nb[2] % unit == 0 && t->nb[3] % unit == 0;
}

bool eyelet_attention_supports(const struct ggml_tensor *op) {
  if (op->op != GGML_OP_FLASH_ATTN_EXT)
    return false;
  const struct ggml_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3],
                           *sinks = op->src[4];
  if (!q || !k || !v || !has_rows(q) || !has_rows(k) || !has_rows(v) || q->type != GGML_TYPE_F32 ||
      op->type != GGML_TYPE_F32 || op->nb[0] != sizeof(float))
    return false;
  if (!aligned(q, sizeof(float)) || !aligned(op, sizeof(float)) || !aligned(k, 2) || !aligned(v, 2))
    return false;
  if (q->ne[0] != k->ne[0] || k->ne[1] != v->ne[1] || k->ne[2] != v->ne[2] ||
      k->ne[3] != v->ne[3] || q->ne[2] % k->ne[2] || q->ne[3] % k->ne[3])
    return false;
  if (op->ne[0] != v->ne[0] || op->ne[1] != q->ne[2] || op->ne[2] != q->ne[1] ||
      op->ne[3] != q->ne[3])
    return false;
  if (mask && (mask->type != GGML_TYPE_F16 || mask->nb[0] != 2 || !aligned(mask, 2) ||
               mask->ne[0] < k->ne[1] || mask->ne[1] < q->ne[1] || q->ne[2] % mask->ne[2] ||
               q->ne[3] % mask->ne[3]))
    return false;
  return !sinks || (sinks->type == GGML_TYPE_F32 && sinks->ne[0] == q->ne[2] &&
                    ggml_nelements(sinks) == q->ne[2] && sinks->nb[0] == sizeof(float));
}

bool eyelet_attention_has_vectors(void) { return fgemm_chosen() != &fgemm_plain; }

// ---- planning ----

// The kernels for so many rows of queries that share a head of keys: no wider than there is use
// for. What a row comes to does not depend on them.
static const fgemm_kernels *kernels_for(int64_t rows) {
  const fgemm_kernels *f = fgemm_chosen();
#ifdef FGEMM_X86
  if (f != &fgemm_plain && rows <= fgemm_avx2_narrow.width)
    return &fgemm_avx2_narrow;
  if (f == &fgemm_avx512 && rows <= fgemm_avx2.width)
    return &fgemm_avx2;
#endif
  return f;
}

static attention plan(struct ggml_tensor *op, int threads, bool uniform) {
  attention t = {.q = op->src[0],
                 .k = op->src[1],
                 .v = op->src[2],
                 .mask = op->src[3],
                 .sinks = op->src[4],
                 .out = op};
  t.width = t.q->ne[0], t.value_width = t.v->ne[0], t.queries = t.q->ne[1], t.keys = t.k->ne[1],
  t.heads = t.q->ne[2];
  t.group = t.heads / t.k->ne[2];
  t.f = kernels_for(t.group * t.queries);
  t.a = &attention_plain;
#ifdef FGEMM_X86
  if (t.f != &fgemm_plain)
    t.a = &attention_avx2;
#endif
  memcpy(&t.scale, op->op_params, sizeof t.scale);
  memcpy(&t.max_bias, op->op_params + 1, sizeof t.max_bias);
  memcpy(&t.softcap, op->op_params + 2, sizeof t.softcap);

  int64_t lanes = t.f->width, others = t.k->ne[2] * t.q->ne[3];
  t.folded = t.group > 1 && t.queries < 4 * lanes && t.queries % lanes &&
             (!t.mask || t.mask->ne[2] == 1) && !(t.max_bias > 0);
  t.panels = t.folded ? blocks_of(t.group * t.queries, lanes)
                      : t.group * blocks_of(t.queries, lanes);
  int64_t most =
      larger(smaller(most_queries, state_numbers / (t.width + t.value_width)) / lanes, 1);
  int64_t wanted = smaller(blocks_of(4 * threads, others),
                           larger(t.panels * lanes / task_queries, blocks_of(threads, others)));
  t.parts = smaller(t.panels, larger(blocks_of(t.panels, most), wanted));
  t.most_panels = blocks_of(t.panels, t.parts);
  t.chunk = larger(chunk_keys, blocks_of(t.keys, most_chunks * block_keys) * block_keys);
  t.chunks = t.queries < few_queries && !uniform ? blocks_of(t.keys, t.chunk) : 1;
  if (t.chunks == 1)
    t.chunk = t.keys;
  return t;
}

// Lays out the scratch memory of a thread from base, NULL to measure, and returns its size in
// bytes.
static size_t lay_out(const attention *t, char *base, space *s) {
  size_t used = 0;
  int64_t lanes = t->f->width;
  struct {
    float **at;
    int64_t n;
  } parts[] = {{&s->k, block_keys * t->width},
               {&s->v, value_stride * t->value_width},
               {&s->rows, larger(lanes, value_rows) *
                              larger(larger(t->width, t->value_width), block_keys)},
               {&s->mask, lanes * block_keys},
               {&s->scores, lanes * block_keys},
               {&s->q, lanes * t->width * t->most_panels},
               {&s->out, lanes * t->value_width * t->most_panels},
               {&s->largest, lanes * t->most_panels},
               {&s->sum, lanes * t->most_panels}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    *parts[i].at = base ? (float *)(base + used) : NULL;
    used += blocks_of(sizeof(float) * parts[i].n, 64) * 64;
  }
  s->spans = base ? (span *)(base + used) : NULL;
  return used + blocks_of(sizeof(span) * t->most_panels, 64) * 64;
}

// ---- one task ----

// The panel of a task: which rows of queries.
typedef struct {
  int64_t batch, head;    // of the first row, or of the whole group where folded
  int64_t query, queries; // that it has rows of
  int64_t row, rows;      // of those of all the heads, where folded
} panel;

static panel panel_of(const attention *t, int64_t batch, int64_t key_head, int64_t i) {
  int64_t lanes = t->f->width, head = key_head * t->group;
  if (!t->folded) {
    int64_t query = i / t->group * lanes, rows = smaller(lanes, t->queries - query);
    return (panel){batch, head + i % t->group, query, rows, 0, rows};
  }
  int64_t row = i * lanes, rows = smaller(lanes, t->group * t->queries - row);
  int64_t query = row / t->group, end = (row + rows - 1) / t->group + 1;
  return (panel){batch, head, query, end - query, row, rows};
}

// The head of a row of a panel, and its query.
static int64_t head_of(const attention *t, const panel *p, int64_t row) {
  return t->folded ? p->head + (p->row + row) % t->group : p->head;
}

static int64_t query_of(const attention *t, const panel *p, int64_t row) {
  return t->folded ? (p->row + row) / t->group : p->query + row;
}

static const char *row_of(const struct ggml_tensor *t, int64_t row, int64_t head, int64_t batch) {
  return (const char *)t->data + row * t->nb[1] + head * t->nb[2] + batch * t->nb[3];
}

// The place of the result for a row of a panel.
static char *result_of(const attention *t, const panel *p, int64_t row) {
  return (char *)t->out->data + head_of(t, p, row) * t->out->nb[1] +
         query_of(t, p, row) * t->out->nb[2] + p->batch * t->out->nb[3];
}

// ALiBi's slope of a head (O. Press et al., Train Short, Test Long, 2021), as ggml has it for
// numbers of heads that are no power of two.
static float slope_of(const attention *t, int64_t head) {
  if (!(t->max_bias > 0))
    return 1;
  int64_t power = 1;
  while (2 * power <= t->heads)
    power *= 2;
  if (head < power)
    return powf(powf(2, -t->max_bias / power), head + 1);
  return powf(powf(2, -t->max_bias / 2 / power), 2 * (head - power) + 1);
}

// Finds what of a block of keys the panel's mask leaves to see, to 16 keys.
static span see(const attention *t, const panel *p, int64_t key, int64_t keys) {
  if (!t->mask)
    return (span){NULL, 0, keys, true};
  span s = {row_of(t->mask, p->query, p->head % t->mask->ne[2], p->batch % t->mask->ne[3]) +
                2 * key,
            keys, 0, true};
  const uint16_t hidden = 0xfc00; // minus infinity
  uint16_t seen[block_keys] = {0}, some[block_keys] = {0};
  for (int64_t r = 0; r < p->queries; r++) {
    const uint16_t *m = (const uint16_t *)(s.mask + r * t->mask->nb[1]);
    for (int64_t i = 0; i < keys; i++) {
      seen[i] |= m[i] ^ hidden;
      some[i] |= m[i];
    }
  }
  for (int64_t i = 0; i < keys; i++)
    if (seen[i]) {
      s.first = smaller(s.first, i / 16 * 16);
      s.end = smaller(keys, i / 16 * 16 + 16);
    }
  for (int64_t i = s.first; i < s.end; i++)
    s.clear = s.clear && !some[i];
  return s;
}

// Converts keys [first, end) of the block that begins at key, and transposes their values.
static void widen_block(const attention *t, space *s, int64_t head, int64_t batch, int64_t key,
                        int64_t first, int64_t end) {
  for (int64_t i = first; i < end; i++)
    fgemm_widen(t->f, t->k->type, s->k + i * t->width, row_of(t->k, key + i, head, batch),
                t->width);
  for (int64_t i = first; i < end; i += value_rows) {
    int64_t n = smaller(value_rows, end - i);
    for (int64_t j = 0; j < n; j++)
      fgemm_widen(t->f, t->v->type, s->rows + j * t->value_width,
                  row_of(t->v, key + i + j, head, batch), t->value_width);
    t->f->transpose(s->v + i, value_stride, s->rows, t->value_width, n, t->value_width);
  }
}

// Turns the visible part of a mask into a panel.
static void widen_mask(const attention *t, space *s, const panel *p, const span *seen) {
  int64_t keys = seen->end - seen->first;
  for (int64_t r = 0; r < p->rows; r++) {
    int64_t query = query_of(t, p, r) - p->query;
    if (r > 0 && query == query_of(t, p, r - 1) - p->query)
      memcpy(s->rows + r * keys, s->rows + (r - 1) * keys, sizeof *s->rows * keys);
    else
      t->f->widen_f16(s->rows + r * keys,
                      (const uint16_t *)(seen->mask + query * t->mask->nb[1]) + seen->first, keys);
  }
  fgemm_pack(t->f, s->mask, s->rows, keys, p->rows, keys);
}

// The scores of the keys that a panel sees.
static void score(const attention *t, space *s, const panel *p, const span *seen, const float *q) {
  int64_t lanes = t->f->width, keys = seen->end - seen->first;
  t->f->multiply(s->k + seen->first * t->width, t->width, keys, q, t->width, s->scores, false);
  if (t->softcap != 0)
    t->a->cap(s->scores, keys * lanes, t->softcap * log2e);
  if (!seen->clear)
    t->a->add(s->scores, s->mask, keys * lanes, slope_of(t, p->head) * log2e);
}

static state state_of(const attention *t, const space *s, int64_t i) {
  int64_t lanes = t->f->width;
  return (state){s->out + i * lanes * t->value_width, s->largest + i * lanes, s->sum + i * lanes};
}

// Adds the keys that panel i sees to its sums. What was summed up under a smaller maximum shrinks.
static void attend(const attention *t, space *s, int64_t i, const span *seen) {
  int lanes = t->f->width;
  int64_t keys = seen->end - seen->first;
  state of = state_of(t, s, i);
  float *largest = of.largest, *sum = of.sum, *out = of.out;
  float top[fgemm_max_width], shrink[fgemm_max_width], added[fgemm_max_width],
      ignored[fgemm_max_width];
  memcpy(shrink, largest, sizeof *shrink * lanes);
  t->a->raise(largest, s->scores, keys, lanes);
  bool shrinks = false, begun = false;
  for (int c = 0; c < lanes; c++) {
    // all keys hidden so far: no difference of infinities
    top[c] = largest[c] == -INFINITY ? 0 : largest[c];
    shrinks = shrinks || shrink[c] != largest[c];
    begun = begun || shrink[c] != -INFINITY;
  }
  t->a->power(shrink, 1, lanes, top, ignored);
  t->a->power(s->scores, keys, lanes, top, added);
  for (int c = 0; c < lanes; c++)
    sum[c] = sum[c] * shrink[c] + added[c];
  if (begun && shrinks)
    t->a->scale(out, t->value_width, lanes, shrink);
  t->f->multiply(s->v + seen->first, value_stride, t->value_width, s->scores, keys, out, begun);
}

// Divides by the sums, sinks included, and stores.
static void finish(const attention *t, space *s, const panel *p, state of) {
  int lanes = t->f->width;
  float by[fgemm_max_width] = {0};
  for (int c = 0; c < p->rows; c++) {
    float total = of.sum[c], shrink = 1;
    if (t->sinks) {
      float sink = ((const float *)t->sinks->data)[head_of(t, p, c)] * log2e,
            top = fmaxf(of.largest[c], sink);
      shrink = of.largest[c] == -INFINITY ? 0 : exp2f(of.largest[c] - top);
      total = total * shrink + exp2f(sink - top);
    }
    by[c] = total == 0 ? 0 : shrink / total;
  }
  t->a->scale(of.out, t->value_width, lanes, by);
  if (!t->folded) {
    t->f->transpose((float *)result_of(t, p, 0), t->out->nb[2] / sizeof(float), of.out, lanes,
                    t->value_width, p->rows);
    return;
  }
  t->f->transpose(s->rows, t->value_width, of.out, lanes, t->value_width, p->rows);
  for (int64_t r = 0; r < p->rows; r++)
    memcpy(result_of(t, p, r), s->rows + r * t->value_width, sizeof *s->rows * t->value_width);
}

// Packs the queries of a panel, multiplied by what all scores are.
static void begin(const attention *t, space *s, const panel *p, int64_t i) {
  int lanes = t->f->width;
  float *q = s->q + i * lanes * t->width, by[fgemm_max_width];
  state of = state_of(t, s, i);
  const float *from = (const float *)row_of(t->q, p->query, p->head, p->batch);
  int64_t stride = t->q->nb[1] / sizeof(float);
  if (t->folded) {
    for (int64_t r = 0; r < p->rows; r++)
      memcpy(s->rows + r * t->width,
             row_of(t->q, query_of(t, p, r), head_of(t, p, r), p->batch),
             sizeof *s->rows * t->width);
    from = s->rows, stride = t->width;
  }
  fgemm_pack(t->f, q, from, stride, p->rows, t->width);
  for (int c = 0; c < lanes; c++) {
    by[c] = t->softcap != 0 ? t->scale / t->softcap : t->scale * log2e;
    of.largest[c] = -INFINITY;
    of.sum[c] = 0;
  }
  t->a->scale(q, t->width, lanes, by);
  memset(of.out, 0, sizeof *of.out * lanes * t->value_width);
}

// Sums up keys [from, to) for panels [first, end) of a head of keys.
static void run_panels(const attention *t, space *s, int64_t batch, int64_t head, int64_t first,
                       int64_t end, int64_t from, int64_t to) {
  int64_t key_batch = batch / (t->q->ne[3] / t->k->ne[3]);
  for (int64_t i = first; i < end; i++) {
    panel p = panel_of(t, batch, head, i);
    begin(t, s, &p, i - first);
  }
  for (int64_t key = from; key < to; key += block_keys) {
    int64_t keys = smaller(block_keys, to - key), low = keys, high = 0;
    for (int64_t i = first; i < end; i++) {
      panel p = panel_of(t, batch, head, i);
      // as for the head before
      bool same = i > first && !t->folded && i % t->group && (!t->mask || t->mask->ne[2] == 1);
      span seen = same ? s->spans[i - first - 1] : see(t, &p, key, keys);
      s->spans[i - first] = seen;
      low = smaller(low, seen.first), high = larger(high, seen.end);
    }
    if (low >= high)
      continue;
    widen_block(t, s, head, key_batch, key, low, high);
    const char *mask = NULL; // that the panel of the mask is of
    for (int64_t i = first; i < end; i++) {
      panel p = panel_of(t, batch, head, i);
      const span *seen = &s->spans[i - first];
      if (seen->first >= seen->end)
        continue;
      if (!seen->clear && (seen->mask != mask || t->folded))
        widen_mask(t, s, &p, seen);
      mask = seen->clear ? mask : seen->mask;
      score(t, s, &p, seen, s->q + (i - first) * t->f->width * t->width);
      attend(t, s, i - first, seen);
    }
  }
}

// The numbers of a state.
static int64_t state_size(const attention *t) { return t->f->width * (t->value_width + 2); }

// The state of a panel over a chunk of the keys, where they are kept for all panels.
static state kept_state(const attention *t, float *kept, int64_t panel, int64_t chunk) {
  float *at = kept + (panel * t->chunks + chunk) * state_size(t);
  int64_t lanes = t->f->width;
  return (state){at, at + lanes * t->value_width, at + lanes * (t->value_width + 1)};
}

static void keep_state(const attention *t, state to, state from) {
  int64_t lanes = t->f->width;
  memcpy(to.out, from.out, sizeof *to.out * lanes * t->value_width);
  memcpy(to.largest, from.largest, sizeof *to.largest * lanes);
  memcpy(to.sum, from.sum, sizeof *to.sum * lanes);
}

// Adds what a panel has come to over a chunk of keys to what it has over others, in place.
static void merge(const attention *t, state all, state part) {
  int lanes = t->f->width;
  float shrink[fgemm_max_width], by[fgemm_max_width];
  for (int c = 0; c < lanes; c++) {
    float top = fmaxf(all.largest[c], part.largest[c]);
    shrink[c] = all.largest[c] == -INFINITY ? 0 : exp2f(all.largest[c] - top);
    by[c] = part.largest[c] == -INFINITY ? 0 : exp2f(part.largest[c] - top);
    all.largest[c] = top;
    all.sum[c] = all.sum[c] * shrink[c] + part.sum[c] * by[c];
  }
  for (int64_t i = 0; i < t->value_width; i++)
    for (int c = 0; c < lanes; c++)
      all.out[i * lanes + c] =
          all.out[i * lanes + c] * shrink[c] + part.out[i * lanes + c] * by[c];
}

// Sums up a chunk of the keys for a part of the panels of a head of keys of a batch, and stores the
// result if there is no other chunk.
static void run_task(const attention *t, space *s, float *kept, int64_t other, int64_t part,
                     int64_t chunk) {
  int64_t heads = t->k->ne[2], batch = other / heads, head = other % heads;
  int64_t first = t->panels * part / t->parts, end = t->panels * (part + 1) / t->parts;
  run_panels(t, s, batch, head, first, end, chunk * t->chunk,
             smaller(t->keys, (chunk + 1) * t->chunk));
  for (int64_t i = first; i < end; i++) {
    panel p = panel_of(t, batch, head, i);
    state of = state_of(t, s, i - first);
    if (t->chunks == 1)
      finish(t, s, &p, of);
    else
      keep_state(t, kept_state(t, kept, other * t->panels + i, chunk), of);
  }
}

bool eyelet_attention_run(struct ggml_tensor *op, int threads, bool uniform) {
  threads = threads < 1 ? 1 : threads;
  attention t = plan(op, threads, uniform);
  space s;
  size_t bytes = lay_out(&t, NULL, &s);
  int64_t heads = t.k->ne[2], others = heads * t.q->ne[3];
  size_t shared =
      t.chunks == 1 ? 0 : sizeof(float) * others * t.panels * t.chunks * state_size(&t);
  char *base = fgemm_take(&scratch, bytes * threads + shared);
  if (!base)
    return false;
  float *kept = (float *)(base + bytes * threads);
#pragma omp parallel num_threads(threads) private(s)
  {
    lay_out(&t, base + bytes * omp_get_thread_num(), &s);
    // The last queries first: a causal mask lets them see the most keys, and what takes longest is
    // best begun early.
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < t.parts * t.chunks * others; task++) {
      int64_t cut = task / others;
      run_task(&t, &s, kept, task % others, t.parts - 1 - cut / t.chunks, cut % t.chunks);
    }
    if (t.chunks > 1) {
#pragma omp for
      for (int64_t i = 0; i < others * t.panels; i++) {
        int64_t other = i / t.panels;
        panel p = panel_of(&t, other / heads, other % heads, i % t.panels);
        state all = kept_state(&t, kept, i, 0);
        for (int64_t chunk = 1; chunk < t.chunks; chunk++)
          merge(&t, all, kept_state(&t, kept, i, chunk));
        finish(&t, &s, &p, all);
      }
    }
  }
  return true;
}

// ---- without memory ----

enum { few = 256 }; // numbers that are converted at a time: a whole number of blocks of any type

static void widen_part(const attention *t, const struct ggml_tensor *of, int64_t row, int64_t head,
                       int64_t batch, int64_t first, int64_t n, float *to) {
  const char *from = row_of(of, row, head, batch) + ggml_row_size(of->type, first);
  fgemm_widen(t->f, of->type, to, from, n);
}

// The score of a key, as an exponent of two.
static float score_of(const attention *t, const float *q, int64_t head, int64_t key_batch,
                      int64_t key, float mask) {
  float sum = 0, part[few];
  for (int64_t first = 0; first < t->width; first += few) {
    int64_t n = smaller(few, t->width - first);
    widen_part(t, t->k, key, head / t->group, key_batch, first, n, part);
    for (int64_t i = 0; i < n; i++)
      sum += q[first + i] * part[i];
  }
  sum *= t->scale;
  if (t->softcap != 0)
    sum = t->softcap * tanhf(sum / t->softcap);
  return (sum + mask) * log2e;
}

static void attend_alone(const attention *t, int64_t query, int64_t head, int64_t batch) {
  float *out = (float *)((char *)t->out->data + head * t->out->nb[1] + query * t->out->nb[2] +
                         batch * t->out->nb[3]),
        part[few];
  const float *q = (const float *)row_of(t->q, query, head, batch);
  int64_t key_batch = batch / (t->q->ne[3] / t->k->ne[3]);
  float largest = t->sinks ? ((const float *)t->sinks->data)[head] * log2e : -INFINITY,
        sum = t->sinks ? 1 : 0, slope = slope_of(t, head);
  memset(out, 0, sizeof *out * t->value_width);
  for (int64_t key = 0; key < t->keys; key++) {
    float mask = 0;
    if (t->mask)
      t->f->widen_f16(
          &mask,
          (const uint16_t *)row_of(t->mask, query, head % t->mask->ne[2], batch % t->mask->ne[3]) +
              key,
          1);
    if (mask == -INFINITY)
      continue;
    float s = score_of(t, q, head, key_batch, key, slope * mask), top = fmaxf(s, largest);
    float shrink = largest == -INFINITY ? 0 : exp2f(largest - top), weight = exp2f(s - top);
    largest = top;
    sum = sum * shrink + weight;
    for (int64_t first = 0; first < t->value_width; first += few) {
      int64_t n = smaller(few, t->value_width - first);
      widen_part(t, t->v, key, head / t->group, key_batch, first, n, part);
      for (int64_t i = 0; i < n; i++)
        out[first + i] = out[first + i] * shrink + weight * part[i];
    }
  }
  for (int64_t i = 0; i < t->value_width; i++)
    out[i] = sum == 0 ? 0 : out[i] / sum;
}

void eyelet_attention_run_plain(struct ggml_tensor *op, int threads) {
  threads = threads < 1 ? 1 : threads;
  attention t = plan(op, threads, false);
  int64_t all = t.queries * t.heads * t.q->ne[3];
#pragma omp parallel for num_threads(threads)
  for (int64_t i = 0; i < all; i++)
    attend_alone(&t, i % t.queries, i / t.queries % t.heads, i / t.queries / t.heads);
}
