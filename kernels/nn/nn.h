// The regions of a transformer: each nn_run_ function is one OpenMP parallel region. Rows are split
// into blocks of a fixed height, for which the products are planned; a thread takes a block through
// everything that needs no other rows.
#ifndef EYELET_NN_H
#define EYELET_NN_H

#include "../../cgo/onednn/primitive.h"
#include "panels.h"
#include "rows.h"

// A linear layer over blocks of rows: y = act(x W' + b).
typedef struct {
  int in, out;
  nn_activation activation;
  const float *bias; // out numbers; never NULL
  const void *packed;
  // The library's products, NULL where weights are packed in panels. Over float weights, one
  // product stores its result itself, bias and activation fused (and x added, for a residual). Over
  // 8-bit weights there are products over chunks of columns, packed one after the other, whose
  // 32-bit sums stay in the cache until they are scaled.
  const eyelet_matmul *product;
  const eyelet_matmul *narrow; // the last chunk, where it is narrower
  int chunks, chunk;
  // Integers only: the bits of weights in panels; what inputs are multiplied by before they are
  // rounded; the scale of each column, or of its part in each piece of a panel; and for the
  // library's products the sum of each column's weights, and the square of a row's extent over its
  // mean square from which on 8 bits are too few for it.
  nn_bits bits;
  const float *by;
  const float *column;
  const int32_t *sum;
  float spread;
} nn_linear;

// Attention within a stretch of some rows.
typedef struct {
  int heads, head_dim, tokens; // rows of the stretch
  int block;                   // query rows of a block, at most tokens
  int stride;                  // elements from row to row of q, k and v
  const eyelet_matmul *scores, *mix; // NULL where k and v are packed in panels
  const eyelet_reorder *pack_k, *pack_v;
} nn_attention;

// A stretch of rows that attend to each other.
typedef struct {
  int first; // row
  const nn_attention *attention;
} nn_stretch;

// Rotary positions: pair i of a head's queries and keys, (x[i], x[half + i]), is turned by an angle
// that the row has for it.
typedef struct {
  int half;                     // pairs of a head; 0 for none
  const float *cosines, *sines; // half numbers for each row
} nn_rotary;

// What all regions share.
typedef struct {
  int threads;
  int block;      // rows of a block
  nn_store store; // of activations
  int limit8;     // the largest 8-bit activation of the library's products
  char *scratch;  // threads times scratch_bytes
  size_t scratch_bytes;
} nn_team;

typedef struct {
  int n, rms;               // rms: by the root of the mean square alone
  const float *gain, *bias; // no bias where rms is set
  float eps;
} nn_norm;

// What happens to the result of a linear layer before the next one reads it, where the layer does
// not do it itself: a norm, unless its gain is NULL; then the activation; and gated, the first half
// of the numbers, activated, is multiplied by the other half.
typedef struct {
  nn_norm norm;
  nn_activation activation;
  int gated;
} nn_between;

typedef struct {
  nn_norm ln1, ln2;
  nn_linear qkv, out, up, down; // out and down add to the residual stream
  nn_between feed;              // between up and down
  // Norms that most towers lack, with a NULL gain: of the queries, keys and values of each head,
  // and of what attention and the feed-forward network add.
  nn_norm heads[3];
  nn_norm added[2];
} nn_block;

// The activations of all tiles of a batch.
typedef struct {
  int rows; // the buffers have room for whole blocks
  float *x; // rows * hidden: the residual stream
  void *qkv, *mixed;
} nn_state;

// These return the first failure of a primitive, dnnl_success if there was none.

// A share of the work of a block: rows are blocks of rows, heads are pairs of a stretch and a head.
// Shares are run in turn.
typedef struct {
  int rows_before, rows_before_end; // of the queries, keys and values
  int heads, heads_end;             // of the attention
  int rows_after, rows_after_end;   // of what follows
} nn_share;

// x = x + out(attention(qkv(norm x))); x = x + down(act(up(norm x))), or down(act(gate(norm x)) *
// up(norm x)) where it is gated. The queries and keys of a row are turned by its rotary positions.
// Norms of heads come before that, and norms of what is added before the sum.
int nn_run_block(const nn_team *t, const nn_stretch *stretches, const nn_rotary *rotary,
                 const nn_block *b, nn_state *s, nn_share share);

// Which rows an MLP reads. Row r of its input begins at number ((r / group) * stride + skip) * unit
// + r % group * pool * in of x; it is the mean of pool rows of `in` numbers.
typedef struct {
  const float *x;
  int rows, group, stride, skip, unit, pool;
} nn_source;

// A linear layer of an MLP and what comes between it and the next.
typedef struct {
  nn_linear linear;
  nn_between between;
} nn_layer;

// y = layers[n-1](... layers[0](norm(x))), the norm left out where its gain is NULL; it may be
// narrower than a row, and then takes the row part by part. y has room for whole blocks; the last
// layer stores float32 and the ones before it activations.
int nn_run_mlp(const nn_team *t, const nn_norm *norm, const nn_layer *layers, int n,
               nn_source source, float *y);

int nn_run_attention(const nn_team *t, const nn_stretch *stretches, int n, const void *qkv,
                     void *mixed);
int nn_run_norm(const nn_team *t, const nn_norm *norm, float *x, int rows);

// Bytes of scratch memory that a thread needs.
size_t nn_block_scratch(const nn_team *t, const nn_block *b);
size_t nn_mlp_scratch(const nn_team *t, const nn_layer *layers, int n);
size_t nn_attention_scratch(const nn_team *t, const nn_attention *a);

#endif
