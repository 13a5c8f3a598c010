#include "nn.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

// An arena hands out the scratch memory of a thread; nothing is given back before the task ends.
// With a null base it only counts.
typedef struct {
  char *base;
  size_t used;
} arena;

static void *take(arena *a, size_t n) {
  void *p = a->base ? a->base + a->used : NULL;
  a->used += (n + 63) / 64 * 64;
  return p;
}

static arena scratch_of(const nn_team *t, int thread) {
  return (arena){t->scratch + t->scratch_bytes * thread, 0};
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

// An input to a linear layer, one block of rows: as floats, or as integers with a range for each
// row. Those are of 16 bits for weights in panels. The library's products take bytes, and rows for
// which these are too few get the rest in others, which a second product reads.
typedef struct {
  void *rows;
  nn_range *range; // NULL for floats
  uint8_t *rest;   // NULL for panels
  int rests;       // whether a row has some
} operand;

static int integers(const nn_linear *l) { return l->by != NULL; }

// Rows of 16-bit integers stand this far apart: room for an even number of them, at a distance that
// is no power of two, as far as caches care.
static size_t stride16(int in) { return (size_t)(in + 1) / 2 * 2 + 32; }

static operand take_operand(const nn_team *t, const nn_linear *l, arena *a) {
  operand o = {0};
  size_t rows = t->block;
  if (!integers(l)) {
    o.rows = take(a, rows * l->in * nn_store_bytes(t->store));
    return o;
  }
  o.range = take(a, sizeof *o.range * rows);
  if (!l->product) {
    o.rows = take(a, rows * stride16(l->in) * sizeof(int16_t));
    return o;
  }
  o.rows = take(a, rows * l->in);
  o.rest = take(a, rows * l->in);
  return o;
}

// set_bytes rounds a row for the library's products.
static void set_bytes(const nn_team *t, const nn_linear *l, operand *o, int r, const float *x,
                      nn_extent e) {
  uint8_t *dst = (uint8_t *)o->rows + (size_t)r * l->in, *rest = o->rest + (size_t)r * l->in;
  o->range[r] = nn_rows()->quantize(dst, x, l->in, e, t->limit8);
  float range = e.high - e.low;
  if (!(range * range * l->in > l->spread * e.square) || o->range[r].scale == 0)
    return;
  if (!o->rests)
    memset(o->rest, (t->limit8 + 1) / 2, (size_t)t->block * l->in); // nothing
  o->rests = 1;
  nn_rows()->quantize_rest(rest, x, dst, l->in, o->range[r], t->limit8);
}

// set_row converts a row of floats, which it changes, to what the linear layer reads.
static void set_row(const nn_team *t, const nn_linear *l, operand *o, int r, float *x) {
  if (!integers(l)) {
    nn_row_put((char *)o->rows + (size_t)r * l->in * nn_store_bytes(t->store), x, l->in, t->store);
    return;
  }
  nn_extent e = nn_rows()->balance(x, l->by, l->in);
  if (l->product) {
    set_bytes(t, l, o, r, x, e);
    return;
  }
  int16_t *dst = (int16_t *)o->rows + r * stride16(l->in);
  dst[stride16(l->in) - 33] = 0; // the last one where their number is odd
  o->range[r] = nn_rows()->quantize16(dst, x, l->in, e, nn_largest_activation(l->bits));
}

// What becomes of the result of a linear layer.
typedef enum { STORE, ADD, FLOATS } sink;

// library_bytes is the scratch memory of a layer's products.
static size_t library_bytes(const nn_linear *l) {
  return larger(l->product->scratch_bytes, l->narrow ? l->narrow->scratch_bytes : 0);
}

// linear8 runs the product chunk by chunk and finishes the sums of each while they are in the
// cache.
static int linear8(const nn_team *t, int me, const nn_linear *l, const operand *o, void *y, sink to,
                   arena a) {
  int32_t *acc = take(&a, sizeof *acc * t->block * l->chunk);
  int32_t *rest = take(&a, sizeof *rest * t->block * l->chunk);
  float *row = take(&a, sizeof *row * l->chunk);
  void *library = take(&a, library_bytes(l));
  for (int c = 0; c < l->chunks; c++) {
    int first = c * l->chunk, n = l->out - first < l->chunk ? l->out - first : l->chunk;
    const eyelet_matmul *m = n < l->chunk ? l->narrow : l->product;
    const char *packed = (const char *)l->packed + (size_t)c * l->product->packed_bytes;
    int status = eyelet_matmul_run(m, me, o->rows, packed, NULL, acc, library);
    if (status == dnnl_success && o->rests)
      status = eyelet_matmul_run(m, me, o->rest, packed, NULL, rest, library);
    if (status != dnnl_success)
      return status;
    for (int r = 0; r < t->block; r++) {
      size_t at = (size_t)r * l->out + first;
      nn_rows()->dequantize(row, acc + (size_t)r * n, o->range[r], l->column + first,
                            l->sum + first, l->bias + first, n);
      if (o->rests)
        nn_rows()->dequantize_rest(row, rest + (size_t)r * n, o->range[r], l->column + first,
                                   l->sum + first, t->limit8, n);
      nn_row_activate(row, n, l->activation);
      switch (to) {
      case STORE:
        nn_row_put((char *)y + at * nn_store_bytes(t->store), row, n, t->store);
        break;
      case ADD:
        nn_rows()->add((float *)y + at, row, n);
        break;
      case FLOATS:
        memcpy((float *)y + at, row, sizeof *row * n);
        break;
      }
    }
  }
  return dnnl_success;
}

// linear_panels takes one block of rows through a layer in panels. Activations are float32 where
// there are panels.
static void linear_panels(const nn_team *t, const nn_linear *l, const operand *o, float *y, sink to,
                          arena a) {
  nn_finish f = {l->bias, l->activation, to == ADD, to == STORE && t->store == NN_ROUNDED};
  if (integers(l))
    nn_panels16_run(l->bits, o->rows, stride16(l->in), o->range, l->packed, l->column, y, l->out,
                    t->block, l->out, l->in, f, take(&a, nn_panels16_scratch(t->block)));
  else
    nn_panels_run(o->rows, l->in, l->packed, y, l->out, t->block, l->out, l->in, f,
                  take(&a, nn_panels_scratch(t->block)));
}

// linear takes one block of rows through a layer. The arena is passed by value: what is taken here
// is free again afterwards.
static int linear(const nn_team *t, int me, const nn_linear *l, const operand *o, void *y, sink to,
                  arena a) {
  if (!l->product) {
    linear_panels(t, l, o, y, to, a);
    return dnnl_success;
  }
  if (integers(l))
    return linear8(t, me, l, o, y, to, a);
  void *library = take(&a, l->product->scratch_bytes);
  int status = eyelet_matmul_run(l->product, me, o->rows, l->packed, l->bias, y, library);
  if (to == STORE && t->store == NN_ROUNDED)
    for (int r = 0; r < t->block; r++)
      nn_row_round((float *)y + (size_t)r * l->out, l->out);
  return status;
}

static size_t linear_scratch(const nn_team *t, const nn_linear *l) {
  arena a = {0};
  if (!l->product) {
    take(&a, larger(nn_panels16_scratch(t->block), nn_panels_scratch(t->block)));
    return a.used;
  }
  if (integers(l)) {
    take(&a, sizeof(int32_t) * t->block * l->chunk);
    take(&a, sizeof(int32_t) * t->block * l->chunk);
    take(&a, sizeof(float) * l->chunk);
  }
  take(&a, library_bytes(l));
  return a.used;
}

// stored_operand converts a block of stored activations to the operand of the next layer. Floats
// are read where they are.
static operand stored_operand(const nn_team *t, const nn_linear *l, void *stored, float *row,
                              arena *a) {
  if (!integers(l))
    return (operand){.rows = stored};
  operand o = take_operand(t, l, a);
  for (int r = 0; r < t->block; r++) {
    nn_row_get(row, (char *)stored + (size_t)r * l->in * nn_store_bytes(t->store), l->in, t->store);
    set_row(t, l, &o, r, row);
  }
  return o;
}

// normalise applies a norm to n numbers, part by part where it is narrower.
static void normalise(float *dst, const float *x, const nn_norm *norm, int n) {
  for (int at = 0; at < n; at += norm->n)
    if (norm->rms)
      nn_rows()->rms_norm(dst + at, x + at, norm->gain, norm->n, norm->eps);
    else
      nn_rows()->norm(dst + at, x + at, norm->gain, norm->bias, norm->n, norm->eps);
}

// position normalises the heads of a stored row of queries, keys and values where the block does,
// and turns queries and keys. row has room for four times hidden numbers.
static void position(const nn_team *t, const nn_block *b, const nn_rotary *rotary, void *stored,
                     float *row, size_t at) {
  const float *cosines = rotary->cosines + at * rotary->half,
              *sines = rotary->sines + at * rotary->half;
  int hidden = b->qkv.in, n = 2 * hidden + (b->heads[2].gain ? hidden : 0);
  float *x = t->store == NN_BF16 ? row : stored, *normed = row + 3 * hidden;
  if (x == row)
    nn_row_get(row, stored, n, t->store);
  for (int i = 0; i < 3; i++)
    if (b->heads[i].gain) {
      normalise(normed, x + i * hidden, &b->heads[i], hidden);
      memcpy(x + i * hidden, normed, sizeof *x * hidden);
    }
  if (rotary->half > 0)
    for (int head = 0; head < 2 * hidden; head += 2 * rotary->half)
      nn_rows()->rotate(x + head, x + head + rotary->half, cosines, sines, rotary->half);
  nn_row_put(stored, x, n, t->store);
}

// before_attention: q, k, v = qkv(norm x) for one block of rows.
static int before_attention(const nn_team *t, int me, const nn_block *b, const nn_rotary *rotary,
                            nn_state *s, int block) {
  arena a = scratch_of(t, me);
  int hidden = b->qkv.in;
  float *row = take(&a, sizeof *row * hidden * 4);
  operand o = take_operand(t, &b->qkv, &a);
  size_t first = (size_t)block * t->block;
  for (int r = 0; r < t->block; r++) {
    normalise(row, s->x + (first + r) * hidden, &b->ln1, hidden);
    set_row(t, &b->qkv, &o, r, row);
  }
  size_t stride = (size_t)b->qkv.out * nn_store_bytes(t->store);
  char *qkv = (char *)s->qkv + first * stride;
  int status = linear(t, me, &b->qkv, &o, qkv, STORE, a);
  if (rotary->half > 0 || b->heads[0].gain)
    for (size_t r = 0; r < (size_t)t->block && first + r < (size_t)s->rows; r++)
      position(t, b, rotary, qkv + r * stride, row, first + r);
  return status;
}

// feed makes the stored result of a layer of n outputs the operand of the next one. row has room
// for 2 n numbers.
static operand feed(const nn_team *t, const nn_between *between, int n, const nn_linear *next,
                    void *stored, float *row, arena *a) {
  if (!between->norm.gain && !between->gated)
    return stored_operand(t, next, stored, row, a);
  operand o = take_operand(t, next, a);
  for (int r = 0; r < t->block; r++) {
    float *x = row;
    nn_row_get(x, (char *)stored + (size_t)r * n * nn_store_bytes(t->store), n, t->store);
    if (between->norm.gain)
      normalise(x = row + n, row, &between->norm, n);
    nn_row_activate(x, between->gated ? n / 2 : n, between->activation);
    if (between->gated)
      nn_rows()->multiply(x, x + n / 2, n / 2);
    set_row(t, next, &o, r, x);
  }
  return o;
}

// add_layer adds what a layer makes of a block of rows to the residual stream, normalised where the
// norm has a gain.
static int add_layer(const nn_team *t, int me, const nn_linear *l, const operand *o, float *x,
                     const nn_norm *norm, arena a) {
  if (!norm->gain)
    return linear(t, me, l, o, x, ADD, a);
  float *y = take(&a, sizeof *y * t->block * l->out), *row = take(&a, sizeof *row * l->out);
  int status = linear(t, me, l, o, y, FLOATS, a);
  for (int r = 0; r < t->block; r++) {
    normalise(row, y + (size_t)r * l->out, norm, l->out);
    nn_rows()->add(x + (size_t)r * l->out, row, l->out);
  }
  return status;
}

// after_attention: x += out(mixed); x += down(act(up(norm x))) for one block of rows. The wide rows
// between up and down never leave the thread.
static int after_attention(const nn_team *t, int me, const nn_block *b, nn_state *s, int block) {
  arena a = scratch_of(t, me);
  int hidden = b->up.in, wide = b->up.out, size = nn_store_bytes(t->store);
  float *row = take(&a, sizeof *row * (2 * wide > hidden ? 2 * wide : hidden));
  size_t first = (size_t)block * t->block;
  float *x = s->x + first * hidden;

  arena inner = a;
  operand o = stored_operand(t, &b->out, (char *)s->mixed + first * b->out.in * size, row, &inner);
  int status = add_layer(t, me, &b->out, &o, x, &b->added[0], inner);
  if (status != dnnl_success)
    return status;

  o = take_operand(t, &b->up, &a);
  for (int r = 0; r < t->block; r++) {
    normalise(row, x + (size_t)r * hidden, &b->ln2, hidden);
    set_row(t, &b->up, &o, r, row);
  }
  void *ff = take(&a, (size_t)t->block * wide * size);
  status = linear(t, me, &b->up, &o, ff, STORE, a);
  if (status != dnnl_success)
    return status;
  o = feed(t, &b->feed, wide, &b->down, ff, row, &a);
  return add_layer(t, me, &b->down, &o, x, &b->added[1], a);
}

size_t nn_block_scratch(const nn_team *t, const nn_block *b) {
  arena a = {0};
  int hidden = b->up.in, wide = b->up.out;
  take(&a, sizeof(float) * (wide > 2 * hidden ? 2 * wide : 4 * hidden));
  if (b->added[0].gain || b->added[1].gain) {
    take(&a, sizeof(float) * t->block * hidden);
    take(&a, sizeof(float) * hidden);
  }
  take_operand(t, &b->up, &a);
  take(&a, (size_t)t->block * wide * nn_store_bytes(t->store));
  take_operand(t, &b->qkv, &a);
  take_operand(t, &b->out, &a);
  take_operand(t, &b->down, &a);
  return a.used + larger(larger(linear_scratch(t, &b->qkv), linear_scratch(t, &b->out)),
                         larger(linear_scratch(t, &b->up), linear_scratch(t, &b->down)));
}

// What a thread needs for the attention of one head.
typedef struct {
  void *k, *v;   // packed
  float *scores; // block * tokens
  // the scores' softmax as stored activations; the scores themselves where those are float32
  void *weights;
  float *mixed;  // block * head_dim
  void *product; // scratch memory of the products
} head_scratch;

static head_scratch take_head(const nn_team *t, const nn_attention *h, arena *a) {
  head_scratch s;
  int panels = !h->scores;
  s.k = take(a, panels ? sizeof(float) * nn_panels_size(h->head_dim, h->tokens)
                       : h->scores->packed_bytes);
  s.v = take(a, panels ? sizeof(float) * nn_panels_size(h->tokens, h->head_dim)
                       : h->mix->packed_bytes);
  s.scores = take(a, sizeof *s.scores * h->block * h->tokens);
  s.weights = t->store == NN_BF16 ? take(a, (size_t)h->block * h->tokens * 2) : s.scores;
  s.mixed = take(a, sizeof *s.mixed * h->block * h->head_dim);
  s.product = take(a, panels ? nn_panels_scratch(h->block)
                             : larger(larger(h->scores->scratch_bytes, h->mix->scratch_bytes),
                                      larger(h->pack_k->scratch_bytes, h->pack_v->scratch_bytes)));
  return s;
}

size_t nn_attention_scratch(const nn_team *t, const nn_attention *h) {
  arena a = {0};
  take_head(t, h, &a);
  return a.used;
}

// pack_head packs the keys and values of a head, which stand behind its queries. The right-hand
// side of the scores is k transposed.
static int pack_head(int me, const nn_attention *h, const char *q, int size, head_scratch s) {
  size_t hidden = (size_t)h->heads * h->head_dim;
  const char *k = q + hidden * size, *v = q + 2 * hidden * size;
  if (!h->scores) {
    nn_panels_pack(s.k, (const float *)k, 1, h->stride, h->head_dim, h->tokens);
    nn_panels_pack(s.v, (const float *)v, h->stride, 1, h->tokens, h->head_dim);
    return dnnl_success;
  }
  int status = eyelet_reorder_run(h->pack_k, me, k, s.k, s.product);
  return status == dnnl_success ? eyelet_reorder_run(h->pack_v, me, v, s.v, s.product) : status;
}

// score computes q k' of a block of queries, mix the product of their weights and v.
static int score(int me, const nn_attention *h, const void *q, head_scratch s) {
  if (h->scores)
    return eyelet_matmul_run(h->scores, me, q, s.k, NULL, s.scores, s.product);
  nn_panels_run(q, h->stride, s.k, s.scores, h->tokens, h->block, h->tokens, h->head_dim,
                (nn_finish){0}, s.product);
  return dnnl_success;
}

static int mix(int me, const nn_attention *h, head_scratch s) {
  if (h->mix)
    return eyelet_matmul_run(h->mix, me, s.weights, s.v, NULL, s.mixed, s.product);
  nn_panels_run(s.weights, h->tokens, s.v, s.mixed, h->head_dim, h->block, h->head_dim, h->tokens,
                (nn_finish){0}, s.product);
  return dnnl_success;
}

// attend computes softmax(q k' / sqrt(head_dim)) v of one head of one stretch, a block of queries
// at a time: no more than block * tokens scores exist in a thread. The last block begins early
// enough to be whole; the rows it shares with the one before come out the same.
static int attend(const nn_team *t, int me, const nn_stretch *stretch, const char *qkv, char *mixed,
                  int head) {
  const nn_attention *h = stretch->attention;
  arena a = scratch_of(t, me);
  head_scratch s = take_head(t, h, &a);
  int size = nn_store_bytes(t->store), hidden = h->heads * h->head_dim;
  const char *q = qkv + ((size_t)stretch->first * h->stride + (size_t)head * h->head_dim) * size;
  int status = pack_head(me, h, q, size, s);
  float scale = 1.0f / sqrtf((float)h->head_dim);
  for (int next = 0; next < h->tokens && status == dnnl_success; next += h->block) {
    int first = next + h->block > h->tokens ? h->tokens - h->block : next;
    status = score(me, h, q + (size_t)first * h->stride * size, s);
    if (status != dnnl_success)
      break;
    float sums[h->block];
    for (int r = 0; r < h->block; r++)
      sums[r] = nn_row_softmax((char *)s.weights + (size_t)r * h->tokens * size,
                               s.scores + (size_t)r * h->tokens, h->tokens, scale, t->store);
    status = mix(me, h, s);
    char *out =
        mixed + (((size_t)stretch->first + first) * hidden + (size_t)head * h->head_dim) * size;
    for (int r = 0; r < h->block; r++)
      nn_row_scale(out + (size_t)r * hidden * size, s.mixed + (size_t)r * h->head_dim,
                   1.0f / sums[r], h->head_dim, t->store);
  }
  return status;
}

// keep remembers the first failure.
static void keep(atomic_int *first, int status) {
  int none = dnnl_success;
  if (status != dnnl_success)
    atomic_compare_exchange_strong(first, &none, status);
}

static int blocks_of(const nn_team *t, int rows) { return (rows + t->block - 1) / t->block; }

// attend_to is attend for a number that counts the heads of all stretches.
static int attend_to(const nn_team *t, int me, const nn_stretch *stretches, const void *qkv,
                     void *mixed, int i) {
  int heads = stretches->attention->heads;
  return attend(t, me, stretches + i / heads, qkv, mixed, i % heads);
}

int nn_run_block(const nn_team *t, const nn_stretch *stretches, const nn_rotary *rotary,
                 const nn_block *b, nn_state *s, nn_share share) {
  atomic_int status = dnnl_success;
#pragma omp parallel num_threads(t->threads)
  {
    int me = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1)
    for (int i = share.rows_before; i < share.rows_before_end; i++)
      keep(&status, before_attention(t, me, b, rotary, s, i));
#pragma omp for schedule(dynamic, 1)
    for (int i = share.heads; i < share.heads_end; i++)
      keep(&status, attend_to(t, me, stretches, s->qkv, s->mixed, i));
#pragma omp for schedule(dynamic, 1)
    for (int i = share.rows_after; i < share.rows_after_end; i++)
      keep(&status, after_attention(t, me, b, s, i));
  }
  return status;
}

int nn_run_attention(const nn_team *t, const nn_stretch *stretches, int n, const void *qkv,
                     void *mixed) {
  atomic_int status = dnnl_success;
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->threads)
  for (int i = 0; i < n * stretches->attention->heads; i++)
    keep(&status, attend_to(t, omp_get_thread_num(), stretches, qkv, mixed, i));
  return status;
}

int nn_run_norm(const nn_team *t, const nn_norm *norm, float *x, int rows) {
#pragma omp parallel num_threads(t->threads)
  {
    arena a = scratch_of(t, omp_get_thread_num());
    float *row = take(&a, sizeof *row * norm->n);
#pragma omp for
    for (int r = 0; r < rows; r++) {
      normalise(row, x + (size_t)r * norm->n, norm, norm->n);
      memcpy(x + (size_t)r * norm->n, row, sizeof *row * norm->n);
    }
  }
  return dnnl_success;
}

typedef struct {
  const nn_norm *norm;
  const nn_layer *layers;
  int n;
  nn_source source;
  float *y;
} mlp;

// read_row sets row to a row of an MLP's input, of n numbers: the mean of pool rows.
static void read_row(float *row, const nn_source *s, int at, int n) {
  const float *x = s->x + ((size_t)(at / s->group) * s->stride + s->skip) * s->unit +
                   (size_t)(at % s->group) * s->pool * n;
  memcpy(row, x, sizeof *row * n);
  for (int i = 1; i < s->pool; i++)
    nn_rows()->add(row, x + (size_t)i * n, n);
  if (s->pool > 1)
    nn_row_scale(row, row, 1.0f / s->pool, n, NN_F32);
}

static int mlp_block(const nn_team *t, int me, const mlp *m, int block) {
  arena a = scratch_of(t, me);
  const nn_layer *layer = m->layers;
  const nn_linear *l = &layer->linear;
  float *row = take(&a, sizeof *row * l->in), *normed = take(&a, sizeof *row * l->in);
  operand o = take_operand(t, l, &a);
  for (int r = 0; r < t->block; r++) {
    int at = block * t->block + r;
    float *set = row;
    if (at >= m->source.rows)
      memset(row, 0, sizeof *row * l->in);
    else {
      read_row(row, &m->source, at, l->in);
      if (m->norm->gain)
        normalise(set = normed, row, m->norm, l->in);
    }
    set_row(t, l, &o, r, set);
  }
  for (int i = 0; i < m->n - 1; i++, layer++) {
    l = &layer->linear;
    void *stored = take(&a, (size_t)t->block * l->out * nn_store_bytes(t->store));
    int status = linear(t, me, l, &o, stored, STORE, a);
    if (status != dnnl_success)
      return status;
    row = take(&a, sizeof *row * l->out * 2);
    o = feed(t, &layer->between, l->out, &layer[1].linear, stored, row, &a);
  }
  l = &layer->linear;
  return linear(t, me, l, &o, m->y + (size_t)block * t->block * l->out, FLOATS, a);
}

size_t nn_mlp_scratch(const nn_team *t, const nn_layer *layers, int n) {
  arena a = {0};
  size_t most = 0;
  take(&a, sizeof(float) * layers[0].linear.in);
  take(&a, sizeof(float) * layers[0].linear.in);
  for (int i = 0; i < n; i++) {
    const nn_linear *l = &layers[i].linear;
    take_operand(t, l, &a);
    take(&a, (size_t)t->block * l->out * nn_store_bytes(t->store));
    take(&a, sizeof(float) * l->out * 2);
    most = larger(most, linear_scratch(t, l));
  }
  return a.used + most;
}

int nn_run_mlp(const nn_team *t, const nn_norm *norm, const nn_layer *layers, int n,
               nn_source source, float *y) {
  mlp m = {norm, layers, n, source, y};
  atomic_int status = dnnl_success;
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->threads)
  for (int i = 0; i < blocks_of(t, source.rows); i++)
    keep(&status, mlp_block(t, omp_get_thread_num(), &m, i));
  return status;
}
